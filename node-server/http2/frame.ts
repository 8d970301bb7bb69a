/**
 * Frames of HTTP/2 (RFC 9113 §4, §6): their layout, their names, and how those that a server sends are written. Pure.
 *
 *     0        3      4       5             9
 *     ├ length ┼ type ┼ flags ┼ 0 stream id ┼ payload …
 *        24 bit   8      8       1 + 31 bit
 */
export const FRAME_HEADER_BYTES = 9
/** RFC 9113 §4.2: what each end takes without having said so. We never allow more. */
export const MAX_FRAME_BYTES = 16_384
export const MAX_WINDOW_BYTES = 2 ** 31 - 1
export const DEFAULT_WINDOW_BYTES = 65_535
export const MAX_STREAM_ID = 2 ** 31 - 1

/** What a client says first (RFC 9113 §3.4). */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const Flag = {
  /** Of DATA and HEADERS. */
  endStream: 0x1,
  /** Of SETTINGS and PING. */
  ack: 0x1,
  endHeaders: 0x4,
  padded: 0x8,
  priority: 0x20,
} as const

/** RFC 9113 §7. */
export const ErrorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode]

/** Returns where the payload goes. */
export function writeFrameHeader(
  out: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  // Byte by byte: Buffer's own methods check each time what is known here.
  out[at] = length >>> 16
  out[at + 1] = length >>> 8
  out[at + 2] = length
  out[at + 3] = type
  out[at + 4] = flags
  out[at + 5] = streamId >>> 24
  out[at + 6] = streamId >>> 16
  out[at + 7] = streamId >>> 8
  out[at + 8] = streamId
  return at + FRAME_HEADER_BYTES
}

function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length)
  out.set(payload, writeFrameHeader(out, 0, payload.length, type, flags, streamId))
  return out
}

function uint32(value: number): Buffer {
  const out = Buffer.allocUnsafe(4)
  out.writeUInt32BE(value)
  return out
}

export function rstStreamFrame(streamId: number, code: ErrorCode): Buffer {
  return frame(FrameType.rstStream, 0, streamId, uint32(code))
}

export function pingFrame(payload: Uint8Array, isAck: boolean): Buffer {
  return frame(FrameType.ping, isAck ? Flag.ack : 0, 0, payload)
}

export function windowUpdateFrame(streamId: number, bytes: number): Buffer {
  return frame(FrameType.windowUpdate, 0, streamId, uint32(bytes))
}

export function goawayFrame(lastStreamId: number, code: ErrorCode, text: string): Buffer {
  return frame(FrameType.goaway, 0, 0, Buffer.concat([uint32(lastStreamId), uint32(code), Buffer.from(text)]))
}

export function settingsFrame(payload: Uint8Array): Buffer {
  return frame(FrameType.settings, 0, 0, payload)
}

export const SETTINGS_ACK = frame(FrameType.settings, Flag.ack, 0, Buffer.alloc(0))
