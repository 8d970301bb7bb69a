import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MalformedBytes } from '../../lib/bytes.ts'
import { LogIndex, Revision, Term } from '../../lib/ids.ts'
import { decodeMeta, encodeMeta, NEW_STORE_META, type Meta } from './meta.ts'

const META: Meta = {
  appliedIndex: LogIndex(0x1_0000_0001),
  appliedTerm: Term(2),
  revision: Revision(3),
  compactedRevision: 4,
  purgedRevision: -1,
  configIndex: LogIndex(6),
  configuration: Buffer.from('configuration'),
}

test('the record of the state is read as it was written', () => {
  assert.deepEqual(decodeMeta(encodeMeta(META)), META)
  assert.deepEqual(decodeMeta(encodeMeta(NEW_STORE_META)), NEW_STORE_META)
})

test('its bytes do not change between versions', () => {
  const numbers = [
    '0000000100000001',
    '0000000000000002',
    '0000000000000003',
    '0000000000000005',
    '0000000000000000',
    '0000000000000006',
  ]
  assert.equal(encodeMeta(META).toString('hex'), `01${numbers.join('')}${Buffer.from('configuration').toString('hex')}`)
})

test('a record that is cut, or of another format, is malformed', () => {
  const bytes = encodeMeta(NEW_STORE_META)
  for (let size = 0; size < bytes.length; size++)
    assert.throws(() => decodeMeta(bytes.subarray(0, size)), MalformedBytes)
  assert.throws(() => decodeMeta(Buffer.concat([Buffer.of(2), bytes.subarray(1)])), MalformedBytes)
})
