/** What a frame of a client must be whatever came before it: on which stream, and how long (RFC 9113 §6). Pure. */
import { ConnectionError } from './errors.ts'
import { ErrorCode, FrameType } from './frame.ts'

interface Rule {
  readonly name: string
  /** Whether it is about one stream, or about the connection. */
  readonly on: 'stream' | 'connection' | 'either'
  readonly minBytes: number
  readonly maxBytes: number
}

const any = { minBytes: 0, maxBytes: Infinity } as const
const exactly = (bytes: number): Pick<Rule, 'minBytes' | 'maxBytes'> => ({ minBytes: bytes, maxBytes: bytes })

const RULES: readonly (Rule | undefined)[] = (() => {
  const rules: Rule[] = []
  rules[FrameType.data] = { name: 'DATA', on: 'stream', ...any }
  rules[FrameType.headers] = { name: 'HEADERS', on: 'stream', ...any }
  rules[FrameType.priority] = { name: 'PRIORITY', on: 'stream', ...exactly(5) }
  rules[FrameType.rstStream] = { name: 'RST_STREAM', on: 'stream', ...exactly(4) }
  rules[FrameType.settings] = { name: 'SETTINGS', on: 'connection', ...any }
  rules[FrameType.ping] = { name: 'PING', on: 'connection', ...exactly(8) }
  rules[FrameType.goaway] = { name: 'GOAWAY', on: 'connection', ...any, minBytes: 8 }
  rules[FrameType.windowUpdate] = { name: 'WINDOW_UPDATE', on: 'either', ...exactly(4) }
  rules[FrameType.continuation] = { name: 'CONTINUATION', on: 'stream', ...any }
  return rules
})()

/** Throws a ConnectionError. */
export function checkFrame(type: number, streamId: number, length: number): void {
  if (type === FrameType.pushPromise) throw protocolError('PUSH_PROMISE of a client')
  const rule = RULES[type]
  if (rule === undefined) return // RFC 9113 §5.5: what is not known is ignored
  if (rule.on === 'stream' && streamId === 0) throw protocolError(`${rule.name} on no stream`)
  if (rule.on === 'connection' && streamId !== 0) throw protocolError(`${rule.name} on a stream`)
  if (length < rule.minBytes || length > rule.maxBytes)
    throw new ConnectionError(ErrorCode.frameSizeError, `${rule.name} of a length that it cannot have`)
}

/** Where the content of a frame with padding is. Throws a ConnectionError. */
export function withoutPadding(bytes: Buffer, start: number, end: number): [from: number, to: number] {
  const padding = bytes[start] ?? 0
  if (start + 1 + padding > end) throw protocolError('more padding than frame')
  return [start + 1, end - padding]
}

export function protocolError(text: string): ConnectionError {
  return new ConnectionError(ErrorCode.protocolError, text)
}
