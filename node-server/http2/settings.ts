/** SETTINGS (RFC 9113 §6.5): what the client's mean to a server, and what a server says. Pure. */
import { ConnectionError } from './errors.ts'
import { ErrorCode, MAX_FRAME_BYTES, MAX_WINDOW_BYTES } from './frame.ts'

export const SettingId = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const

const SETTING_BYTES = 6
const MAX_FRAME_SIZE_SETTING = 2 ** 24 - 1

/** Calls back for each, in order, once its value is known to be allowed. Throws a ConnectionError. */
export function readSettings(
  bytes: Buffer,
  start: number,
  end: number,
  onSetting: (id: number, value: number) => void,
): void {
  if ((end - start) % SETTING_BYTES !== 0)
    throw new ConnectionError(ErrorCode.frameSizeError, 'SETTINGS of a length that they cannot have')
  for (let at = start; at < end; at += SETTING_BYTES) {
    const id = bytes.readUInt16BE(at)
    const value = bytes.readUInt32BE(at + 2)
    check(id, value)
    onSetting(id, value)
  }
}

function check(id: number, value: number): void {
  switch (id) {
    case SettingId.enablePush:
      if (value > 1) throw new ConnectionError(ErrorCode.protocolError, 'ENABLE_PUSH is neither 0 nor 1')
      return
    case SettingId.initialWindowSize:
      if (value > MAX_WINDOW_BYTES)
        throw new ConnectionError(ErrorCode.flowControlError, 'INITIAL_WINDOW_SIZE too large')
      return
    case SettingId.maxFrameSize:
      if (value < MAX_FRAME_BYTES || value > MAX_FRAME_SIZE_SETTING)
        throw new ConnectionError(ErrorCode.protocolError, 'MAX_FRAME_SIZE out of its range')
      return
    default: // any value will do; what is not known is ignored
  }
}

export function settingsPayload(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const out = Buffer.allocUnsafe(settings.length * SETTING_BYTES)
  settings.forEach(([id, value], i) => {
    out.writeUInt16BE(id, i * SETTING_BYTES)
    out.writeUInt32BE(value, i * SETTING_BYTES + 2)
  })
  return out
}
