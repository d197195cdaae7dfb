/**
 * Speed of the record codec on the 7-field transaction of about 100 bytes, in one thread, beside
 * JSON and the untyped codec in the same run: `node dist/bench/codec.js [seconds per figure]`.
 * Figures are the median of five rounds; only ratios compare across machines.
 */
import { t } from '../api/schema.js';
import { compileRecordCodec, type DecodedChunk, type RecordCodec } from '../core/record-codec.js';
import { compileUntypedCodec } from '../core/untyped-codec.js';

const Transaction = t.record({
  transaction_id: t.string,
  user_id: t.string,
  product_id: t.string,
  price: t.float64,
  timestamp: t.timestamp,
  payment_method: t.string,
  geolocation: t.string,
});
type Transaction = t.infer<typeof Transaction>;

const CHUNK = 256;
const SAMPLE = 4096;
const seconds = Number(process.argv[2] ?? 0.4);

const methods = ['card', 'paypal', 'wallet', 'invoice'];
const samples = Array.from({ length: SAMPLE }, (_, i): Transaction => ({
  transaction_id: `tx-${String(1_000_000_000 + i)}`,
  user_id: `user-${String((i * 7919) % 100_000)}`,
  product_id: `product-${String((i * 31) % 5000)}`,
  price: (i % 9973) / 7,
  timestamp: 1_700_000_000_000 + i,
  payment_method: methods[i % 4] ?? 'card',
  geolocation: `${(48 + (i % 100) / 97).toFixed(4)},${(11 + (i % 89) / 83).toFixed(4)}`,
}));

/** Records per second of `work`, which handles one chunk starting at sample `from`. */
function rate(work: (from: number) => void): number {
  const round = (): number => {
    const until = process.hrtime.bigint() + BigInt(Math.round(seconds * 1e9));
    const start = process.hrtime.bigint();
    let chunks = 0;
    while (process.hrtime.bigint() < until) {
      for (let i = 0; i < 16; i++) work((chunks++ * CHUNK) % SAMPLE);
    }
    return (chunks * CHUNK) / (Number(process.hrtime.bigint() - start) / 1e9);
  };
  const rounds = Array.from({ length: 6 }, round).slice(1);
  return rounds.sort((a, b) => a - b)[2] ?? 0;
}

const emptyChunk = (): DecodedChunk<Transaction> => ({
  values: [],
  timestamps: new Float64Array(0),
  count: 0,
});

function measure(codec: RecordCodec<Transaction>): {
  encode: number;
  decode: number;
  both: number;
  bytes: number;
} {
  const builder = codec.builder(CHUNK);
  const pack = (from: number): Uint8Array => {
    for (let i = 0; i < CHUNK; i++) {
      const value = samples[from + i] as Transaction;
      builder.append(value, value.timestamp);
    }
    return builder.finish();
  };
  const chunks = Array.from({ length: SAMPLE / CHUNK }, (_, i) => pack(i * CHUNK));
  const into = emptyChunk();
  return {
    encode: rate(pack),
    decode: rate((from) => codec.decode(chunks[from / CHUNK] as Uint8Array, into)),
    both: rate((from) => codec.decode(pack(from), into)),
    bytes: (chunks[0]?.length ?? 0) / CHUNK,
  };
}

function measureJson(): { encode: number; decode: number; both: number; bytes: number } {
  const pack = (from: number): Buffer =>
    Buffer.from(JSON.stringify(samples.slice(from, from + CHUNK)));
  const open = (bytes: Buffer): unknown => JSON.parse(bytes.toString());
  const chunks = Array.from({ length: SAMPLE / CHUNK }, (_, i) => pack(i * CHUNK));
  return {
    encode: rate(pack),
    decode: rate((from) => open(chunks[from / CHUNK] as Buffer)),
    both: rate((from) => open(pack(from))),
    bytes: (chunks[0]?.length ?? 0) / CHUNK,
  };
}

const figures = {
  schema: measure(compileRecordCodec(Transaction)),
  untyped: measure(compileUntypedCodec<Transaction>()),
  json: measureJson(),
};
const millions = (perSecond: number): string => `${(perSecond / 1e6).toFixed(2)} M/s`;
for (const [name, { encode, decode, both, bytes }] of Object.entries(figures)) {
  console.log(
    [
      name.padEnd(8),
      `encode ${millions(encode)}`,
      `decode ${millions(decode)}`,
      `both ${millions(both)} (JSON x ${(both / figures.json.both).toFixed(1)})`,
      `${bytes.toFixed(0)} bytes a record`,
    ].join('  '),
  );
}
