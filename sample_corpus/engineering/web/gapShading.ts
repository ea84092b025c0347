/**
 * Finds the stretches of a series in which values are missing, for the grey background of charts.
 *
 * A stretch is a gap when two neighbouring values are further apart than `tolerance` times the
 * interval that was in force at the earlier one. Devices switch between a slow and a fast interval,
 * so a single fixed limit would paint half of every flood grey.
 */

export interface Sample {
  /** Milliseconds since 1970, UTC. */
  time: number;
  /** Interval the device reported with this value, in seconds. */
  intervalS: number;
}

export interface Gap {
  from: number;
  until: number;
}

export const DEFAULT_TOLERANCE = 3;

export function findGaps(samples: readonly Sample[], tolerance = DEFAULT_TOLERANCE): Gap[] {
  const gaps: Gap[] = [];
  for (let i = 1; i < samples.length; i += 1) {
    const earlier = samples[i - 1];
    const later = samples[i];
    if (later.time < earlier.time) {
      throw new RangeError(
        `samples must be sorted by time: ${later.time} at position ${i} follows ${earlier.time}`,
      );
    }
    const allowed = tolerance * earlier.intervalS * 1000;
    if (later.time - earlier.time > allowed) {
      gaps.push({ from: earlier.time, until: later.time });
    }
  }
  return gaps;
}

/** Joins gaps that are closer together than `pixels` on the screen, so that thin stripes do not flicker. */
export function joinNarrow(gaps: readonly Gap[], msPerPixel: number, pixels = 2): Gap[] {
  const joined: Gap[] = [];
  for (const gap of gaps) {
    const last = joined[joined.length - 1];
    if (last && gap.from - last.until < pixels * msPerPixel) {
      last.until = gap.until;
    } else {
      joined.push({ ...gap });
    }
  }
  return joined;
}
