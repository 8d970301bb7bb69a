import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MalformedBytes } from '../../lib/bytes.ts'
import { LogIndex, MemberId } from '../../lib/ids.ts'
import { decodeCommand, encodeCommand, type Command, type Member } from './command.ts'

const hex = (...fields: readonly string[]): string => fields.join('')

const MEMBER: Member = {
  id: MemberId(0x0102030405060708n),
  name: 'a-0',
  peerURLs: ['http://a-0:2380'],
  clientURLs: [],
  isLearner: true,
}

const COMMANDS: readonly Command[] = [
  { kind: 'put', requestId: 7n, request: Buffer.from('request') },
  { kind: 'delete-range', requestId: 2n ** 64n - 1n, request: Buffer.alloc(0) },
  { kind: 'txn', requestId: 0n, request: Buffer.from([0, 255]) },
  { kind: 'compact', requestId: 1n, request: Buffer.from('c') },
  { kind: 'lease-grant', requestId: 5n, request: Buffer.from('g') },
  { kind: 'lease-revoke', requestId: 6n, request: Buffer.from('r') },
  { kind: 'alarm', requestId: 8n, request: Buffer.from('a') },
  { kind: 'auth', requestId: 9n, request: Buffer.of(1) },
  { kind: 'put', requestId: 7n, request: Buffer.from('request'), authInfo: { username: 'né', revision: 5 } },
  { kind: 'auth', requestId: 9n, request: Buffer.of(2), authInfo: { username: '', revision: 0 } },
  {
    kind: 'membership',
    requestId: 3n,
    operationId: 'grow-1',
    expectedConfigIndex: LogIndex(9),
    change: { kind: 'add', member: MEMBER },
  },
  {
    kind: 'membership',
    requestId: 3n,
    operationId: '',
    expectedConfigIndex: undefined,
    change: { kind: 'promote', memberId: MEMBER.id, maxLagEntries: 100 },
  },
  {
    kind: 'membership',
    requestId: 3n,
    operationId: 'shrink',
    expectedConfigIndex: LogIndex(0),
    change: { kind: 'remove', memberId: MEMBER.id },
  },
  { kind: 'member-attributes', requestId: 4n, member: { ...MEMBER, clientURLs: ['http://a-0:2379', 'x'] } },
]

test('every command is read as it was written', () => {
  for (const command of COMMANDS) assert.deepEqual(decodeCommand(encodeCommand(command)), command)
})

test('the bytes do not change between versions', () => {
  const golden = [
    '01000000000000000772657175657374',
    '02ffffffffffffffff',
    '03000000000000000000ff',
    '04000000000000000163',
    '08000000000000000567',
    '09000000000000000672',
    '0a000000000000000861',
    '0b000000000000000901',
    hex('0c0000000000000007', '000000036ec3a9', '0000000000000005', '01', '72657175657374'),
    hex('0c0000000000000009', '00000000', '0000000000000000', '0b', '02'),
    hex(
      '05000000000000000300000006',
      '67726f772d31',
      '010000000000000009',
      '010102030405060708',
      '00000003612d30',
      '000000010000000f687474703a2f2f612d303a32333830',
      '00000000',
      '01',
    ),
    hex('0500000000000000030000000000000000000000000002', '0102030405060708', '0000000000000064'),
    '05000000000000000300000006736872696e6b010000000000000000030102030405060708',
  ]
  for (const [position, bytes] of golden.entries()) {
    const command = COMMANDS[position]
    assert.ok(command !== undefined)
    assert.equal(encodeCommand(command).toString('hex'), bytes)
  }
})

test('administration cut anywhere or followed by anything is malformed', () => {
  for (const command of COMMANDS) {
    const bytes = encodeCommand(command)
    const isOpenEnded = !['membership', 'member-attributes'].includes(command.kind)
    for (let size = 0; size < (isOpenEnded ? 9 : bytes.length); size++) {
      assert.throws(() => decodeCommand(bytes.subarray(0, size)), MalformedBytes)
    }
    if (!isOpenEnded) assert.throws(() => decodeCommand(Buffer.concat([bytes, Buffer.of(0)])), MalformedBytes)
  }
})

test('a flipped bit gives another command or MalformedBytes, never anything else', () => {
  for (const command of COMMANDS) {
    const bytes = encodeCommand(command)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      try {
        assert.notDeepEqual(decodeCommand(flipped), command)
      } catch (error) {
        assert.ok(error instanceof MalformedBytes, String(error))
      }
    }
  }
})

test('an operation ID that the store could not hold is malformed, in the bytes that the store would get', () => {
  const command = (operationId: string): Buffer =>
    encodeCommand({ kind: 'operation-result', requestId: 1n, operationId, result: Buffer.alloc(0) })
  for (const operationId of ['', 'x'.repeat(257), '€'.repeat(86)]) {
    assert.throws(() => decodeCommand(command(operationId)), MalformedBytes)
  }
  // Each byte that is no UTF-8 becomes three.
  const broken = command('x'.repeat(100))
  broken.fill(0xff, 9 + 4, 9 + 4 + 100)
  assert.throws(() => decodeCommand(broken), MalformedBytes)
  assert.equal(decodeCommand(command('€'.repeat(85))).kind, 'operation-result')
})
