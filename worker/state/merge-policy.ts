/**
 * Which neighbouring layers of a run log to merge next, as a pure decision. Layers of like size are
 * merged together, so that each change is copied a number of times that grows with the logarithm of
 * the state; the oldest layer is rewritten when what came after it weighs as much. What it decides
 * bounds both what a restore replays and what a checkpoint copies.
 */

export interface LayerSize {
  readonly lengthBytes: number;
  readonly changes: number;
}

/** Layers from `from` to `to`, excluded; the oldest is 0. */
export interface MergeChoice {
  readonly from: number;
  readonly to: number;
}

/** Layers of like size that are worth a merge. */
const FAN_IN = 4;
/** A layer counts as of like size up to this many times the younger ones together. */
const LIKE_SIZE = 1.25;

/** @param layersMax above which some are merged in any case */
export function chooseMerge(
  layers: readonly LayerSize[],
  layersMax: number,
): MergeChoice | undefined {
  const [base, ...later] = layers;
  if (base === undefined || later.length === 0) return undefined;
  const changed = sumOf(later);
  // Removals are small, so bytes alone would let a base of dead rows live on.
  if (changed.lengthBytes >= base.lengthBytes || changed.changes >= base.changes) {
    return { from: 0, to: layers.length };
  }
  return (
    ofLikeSize(layers) ?? (layers.length > layersMax ? cheapest(layers, layersMax) : undefined)
  );
}

/** The youngest layers as long as each is not much larger than all younger ones together. */
function ofLikeSize(layers: readonly LayerSize[]): MergeChoice | undefined {
  let together = 0;
  let from = layers.length;
  while (from > 1) {
    const { lengthBytes } = layers[from - 1] ?? { lengthBytes: Infinity };
    if (from < layers.length && lengthBytes > together * LIKE_SIZE) break;
    together += lengthBytes;
    from--;
  }
  return layers.length - from >= FAN_IN ? { from, to: layers.length } : undefined;
}

/** The neighbours that bring the number of layers down to the limit at the least cost. */
function cheapest(layers: readonly LayerSize[], layersMax: number): MergeChoice {
  const count = layers.length - layersMax + 1;
  let best: MergeChoice = { from: 0, to: layers.length };
  let least = Infinity;
  for (let from = 0; from + count <= layers.length; from++) {
    const { lengthBytes } = sumOf(layers.slice(from, from + count));
    if (lengthBytes >= least) continue;
    least = lengthBytes;
    best = { from, to: from + count };
  }
  return best;
}

function sumOf(layers: readonly LayerSize[]): LayerSize {
  let lengthBytes = 0;
  let changes = 0;
  for (const layer of layers) {
    lengthBytes += layer.lengthBytes;
    changes += layer.changes;
  }
  return { lengthBytes, changes };
}
