/** All bounds of the data plane in one place, each with its reason. */

/** Records in a chunk: above it the strings no longer fit the caches, below it the cost per message shows. */
export const CHUNK_RECORDS_MAX = 256;

/** Estimated bytes at which a chunk is closed early, so that large records do not make huge messages. */
export const CHUNK_BYTES_MAX = 32 * 1024;

/** A chunk is not made smaller than this, however slow its consumer: the cost per message would show. */
export const CHUNK_RECORDS_MIN = 16;

/**
 * Most chunks in flight per channel: enough to fill several messages of 8 chunks while credits travel
 * back, few enough that what stands before a barrier stays under about half a megabyte a channel.
 */
export const CHANNEL_CREDITS = 24;

/**
 * Of a channel within one slot: its thread takes what it has just sent, there is no way to fill, and records
 * that wait fall out of the processor's caches and live long enough to be copied by the collector.
 */
export const LOCAL_CHANNEL_CREDITS = 3;

/**
 * Chunks in flight per channel at least, and at first: fewer would leave the consumer waiting for credits to
 * travel. A channel also begins with the smallest chunks, since nothing is known yet of its consumer.
 */
export const IN_FLIGHT_MIN = 2;

/** What is in flight should be worked off within this time, so that barriers behind it are not late; ms. */
export const IN_FLIGHT_TARGET_MS = 100;

/** Credits are returned when this many have gathered, or at once when the channel has run empty. */
export const CREDIT_RETURN_BATCH = 6;

/** Closed chunks that may wait for credits before the task stops taking input. */
export const SUBPARTITION_QUEUE_MAX = 2;

/** Bytes gathered into one message of the exchange under load. */
export const FRAME_BYTES_MAX = 256 * 1024;

/**
 * In-flight data that one task keeps for one checkpoint: far above what its channels' credits allow, so that only
 * a barrier that stays away on one channel while records go on meets it; the checkpoint then fails.
 */
export const IN_FLIGHT_BYTES_MAX = 256 * 1024 * 1024;
