/** The last watermark of every stream: fires all that still waits. The greatest integer that numbers hold exactly. */
export const MAX_WATERMARK = Number.MAX_SAFE_INTEGER;
