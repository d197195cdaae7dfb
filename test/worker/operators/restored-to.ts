/** What window operators of tests are restored with: one time for all of their keys. */
import { RestoredWatermarks } from '../../../worker/operators/restored-watermarks.js';

/** Windows of all keys had fired up to `watermark`; undefined: nothing is restored. */
export function restoredTo(watermark?: number): RestoredWatermarks {
  const keyGroups = { start: 0, end: 128 };
  return new RestoredWatermarks(watermark === undefined ? [] : [{ keyGroups, watermark }], 128);
}
