/** A process that holds leases until it is killed: `node lease-holder.js SPEC TTL_MS KEY...`. */
import { openPatiently } from './patient-store.js';

const [spec = '', ttlMs = '', ...keys] = process.argv.slice(2);
const store = await openPatiently(spec);
for (const key of keys) await store.lease(key, 'held by a child', Number(ttlMs));
process.stdout.write('held\n');
// The open pipe keeps the process alive, and ends it should its parent die first.
process.stdin.resume().on('end', () => process.exit(1));
