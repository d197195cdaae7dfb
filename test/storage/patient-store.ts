/** Opens a meta store as the product does, but with deadlines that a very busy machine keeps. */
import { EtcdMetaStore } from '../../storage/etcd-meta-store.js';
import type { MetaStore } from '../../storage/meta-store.js';
import { openMetaStore, parseMetaStoreSpec } from '../../storage/open-meta-store.js';
import { systemClock, systemRandom } from '../../process/system-clock.js';

const CALL_TIMEOUT_MS = 20_000;
const OPERATION_TIMEOUT_MS = 90_000;

export function openPatiently(spec: string): Promise<MetaStore> {
  const parsed = parseMetaStoreSpec(spec);
  const outside = { clock: systemClock, random: systemRandom };
  if (parsed.type === 'file') return openMetaStore(spec, outside);
  return EtcdMetaStore.open({
    ...outside,
    endpoints: parsed.endpoints,
    prefix: parsed.prefix,
    callTimeoutMs: CALL_TIMEOUT_MS,
    operationTimeoutMs: OPERATION_TIMEOUT_MS,
  });
}
