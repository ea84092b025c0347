-- The Library's first schema. Changes are appended to migrations.py, never made here.

CREATE TABLE recipes (                    -- what shaped a vector; vectors of two recipes are never compared
  recipe_id   INTEGER PRIMARY KEY AUTOINCREMENT,  -- ids are never used again: a reader may still hold one
  fingerprint TEXT    NOT NULL UNIQUE,    -- SHA-256 of `fields`
  fields      TEXT    NOT NULL,           -- canonical JSON: weights, tokenizer, family, Instruction, ...
  dim         INTEGER NOT NULL
);

CREATE TABLE collections (
  collection_id INTEGER PRIMARY KEY AUTOINCREMENT,
  name          TEXT    NOT NULL UNIQUE,
  profile       TEXT    NOT NULL,         -- JSON of the whole Profile: a later edit of its file changes nothing here
  model         TEXT    NOT NULL,         -- name or folder that opens the model
  recipe_id     INTEGER NOT NULL REFERENCES recipes,
  generation    INTEGER NOT NULL DEFAULT 0  -- + 1 with every commit that changes what a query can find
);

CREATE TABLE sources (
  source_id     INTEGER PRIMARY KEY,
  collection_id INTEGER NOT NULL REFERENCES collections ON DELETE CASCADE,
  root          BLOB    NOT NULL,         -- absolute path as the file system spells it: may be no valid UTF-8
  UNIQUE (collection_id, root)
);

CREATE TABLE files (                      -- without documents where the whole file could not be read
  file_id   INTEGER PRIMARY KEY,
  source_id INTEGER NOT NULL REFERENCES sources ON DELETE CASCADE,
  name      TEXT    NOT NULL,             -- relative to the source root
  size      INTEGER NOT NULL,             -- bytes
  mtime_ns  INTEGER NOT NULL,             -- -1: read within the clock's grain of its last change, hash it next time
  sha256    BLOB    NOT NULL,
  failures  TEXT    NOT NULL,             -- JSON list of [document, reason]: what could not be read of it
  reader    TEXT    NOT NULL,             -- version that read it: a newer one tries again what failed
  UNIQUE (source_id, name)
);

CREATE TABLE documents (
  document_id INTEGER PRIMARY KEY,
  file_id     INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
  name        TEXT    NOT NULL,           -- the file's name, or '<name>#<row>'
  kind        TEXT    NOT NULL,
  title       TEXT    NOT NULL,
  metadata    TEXT    NOT NULL,           -- JSON object
  UNIQUE (file_id, name)
);

CREATE TABLE texts (                      -- what is embedded, once for all Collections
  text_id INTEGER PRIMARY KEY,
  hash    BLOB NOT NULL UNIQUE,           -- SHA-256 of the embedded text
  context TEXT NOT NULL,
  text    TEXT NOT NULL
);

CREATE TABLE passages (
  passage_id    INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: a snapshot's ids stay true
  collection_id INTEGER NOT NULL REFERENCES collections,
  document_id   INTEGER NOT NULL REFERENCES documents,
  text_id       INTEGER NOT NULL REFERENCES texts,
  position      INTEGER NOT NULL,         -- order within the document
  start         INTEGER NOT NULL,
  "end"         INTEGER NOT NULL,
  heading       TEXT    NOT NULL,
  page          INTEGER
);
CREATE INDEX passages_by_document ON passages (document_id, position);
CREATE INDEX passages_by_collection ON passages (collection_id, passage_id);
CREATE INDEX passages_by_text ON passages (text_id);

CREATE TABLE vectors (                    -- rows of 1,536 dimensions still lie in one page of 32 KiB
  recipe_id INTEGER NOT NULL REFERENCES recipes,
  text_id   INTEGER NOT NULL REFERENCES texts,
  truncated INTEGER NOT NULL,             -- 1: the text was longer than the model's window
  vector    BLOB    NOT NULL,             -- dim float32, little-endian, of length 1
  UNIQUE (recipe_id, text_id)
);
-- Else every text deleted would cost a pass over all vectors.
CREATE INDEX vectors_by_text ON vectors (text_id);

CREATE TABLE loose_texts (                -- texts to look at when a Collection's garbage is collected:
  collection_id INTEGER NOT NULL,         -- stored for it, perhaps before their passages, or left by a passage
  text_id       INTEGER NOT NULL REFERENCES texts,
  PRIMARY KEY (collection_id, text_id)
) WITHOUT ROWID;
CREATE INDEX loose_texts_by_text ON loose_texts (text_id);

CREATE TABLE removals (                   -- passages that a snapshot may still hold
  collection_id INTEGER NOT NULL,
  passage_id    INTEGER NOT NULL,
  PRIMARY KEY (collection_id, passage_id)
) WITHOUT ROWID;

CREATE TABLE snapshots (
  collection_id   INTEGER PRIMARY KEY REFERENCES collections ON DELETE CASCADE,
  file            TEXT    NOT NULL,       -- name within the Library's folder
  kind            TEXT    NOT NULL,
  generation      INTEGER NOT NULL,
  rows            INTEGER NOT NULL,
  last_passage_id INTEGER NOT NULL,       -- passages above it are not in the file
  size            INTEGER NOT NULL,       -- bytes
  checksum        TEXT    NOT NULL
);
