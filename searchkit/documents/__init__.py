"""From folders to Passages: which files there are, what they say, where to cut; knows no model."""
