/** A program that uses a pool and forgets to close it; it must end by itself all the same. */
import { ScoringPool } from '../../../../worker/compute/scoring-pool.js';
import { ask, modulePath, realClock } from '../scoring-fixture.js';

const pool = new ScoringPool({ clock: realClock, threadsMax: 1 });
await ask(pool, modulePath('double'), [{ id: 'a', price: 1 }]);
process.stdout.write('scored');
