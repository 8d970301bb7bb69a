import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { MemberId } from '../../../lib/ids.ts'
import { EMPTY_CONFIGURATION } from '../../raft/membership.ts'
import { decodeConfiguration, decodeHistoryRow, encodeConfiguration, encodeHistoryRow } from './configuration.ts'

const ids = fc.uniqueArray(fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }).map(MemberId), { maxLength: 9 })
const configurations = fc.record(
  { voters: ids, votersOutgoing: ids, learners: ids, learnersNext: ids, autoLeave: fc.boolean() },
  { noNullPrototype: true },
)

test('a configuration is read back as it was, with IDs of all 64 bits', () => {
  fc.assert(
    fc.property(configurations, (configuration) => {
      assert.deepEqual(decodeConfiguration(encodeConfiguration(configuration)), configuration)
    }),
    { numRuns: 50 },
  )
})

test('the stored bytes stay as they are: other members and later versions read them', () => {
  const configuration = { ...EMPTY_CONFIGURATION, voters: [MemberId(1n), MemberId(2n ** 64n - 1n)] }
  assert.equal(
    encodeConfiguration(configuration).toString(),
    '{"voters":["1","ffffffffffffffff"],"votersOutgoing":[],"learners":[],"learnersNext":[],"autoLeave":false}',
  )
  assert.equal(
    encodeHistoryRow(7, configuration, 'op').toString(),
    '{"index":7,"voters":["1","ffffffffffffffff"],"votersOutgoing":[],"learners":[],"operationId":"op"}',
  )
})

test('nothing stored is the empty configuration of a member that has not joined', () => {
  assert.deepEqual(decodeConfiguration(Buffer.alloc(0)), EMPTY_CONFIGURATION)
})

test('a row of the history is read back; bytes that are cut or of another shape are refused', () => {
  const row = encodeHistoryRow(7, { ...EMPTY_CONFIGURATION, voters: [MemberId(10n)], learners: [MemberId(11n)] }, 'op')
  assert.deepEqual(decodeHistoryRow(row), {
    index: 7,
    voters: ['a'],
    votersOutgoing: [],
    learners: ['b'],
    operationId: 'op',
  })
  for (let size = 0; size < row.length; size++) assert.throws(() => decodeHistoryRow(row.subarray(0, size)))
  assert.throws(() => decodeConfiguration(row))
})
