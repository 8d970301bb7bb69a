import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ErrorCode,
  goawayFrame,
  pingFrame,
  rstStreamFrame,
  SETTINGS_ACK,
  settingsFrame,
  windowUpdateFrame,
  writeFrameHeader,
} from './frame.ts'
import { SettingId, settingsPayload } from './settings.ts'

const parts = (...hex: readonly string[]): string => hex.join('')
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

test('frames are laid out as RFC 9113 §4.1 and §6 say', () => {
  const header = Buffer.alloc(11)
  assert.equal(writeFrameHeader(header, 2, 0x010203, 0x01, 0x05, 0x7fffffff), 11)
  assert.equal(hex(header), parts('0000', '010203', '01', '05', '7fffffff'))
  assert.equal(hex(rstStreamFrame(5, ErrorCode.refusedStream)), parts('000004', '03', '00', '00000005', '00000007'))
  assert.equal(hex(SETTINGS_ACK), parts('000000', '04', '01', '00000000'))
  assert.equal(
    hex(pingFrame(Buffer.from('12345678'), true)),
    parts('000008', '06', '01', '00000000', '3132333435363738'),
  )
  assert.equal(hex(windowUpdateFrame(0, 65_536)), parts('000004', '08', '00', '00000000', '00010000'))
  assert.equal(
    hex(goawayFrame(7, ErrorCode.enhanceYourCalm, 'no')),
    parts('00000a', '07', '00', '00000000', '00000007', '0000000b', '6e6f'),
  )
  const settings = settingsPayload([
    [SettingId.maxConcurrentStreams, 100],
    [SettingId.initialWindowSize, 0x7fffffff],
  ])
  assert.equal(hex(settingsFrame(settings)), parts('00000c', '04', '00', '00000000', '000300000064', '00047fffffff'))
})
