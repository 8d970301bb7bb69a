import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BackupResult, decodeBackupResult, encodeBackupResult, isOlder } from './backup-result.ts'

const RESULT: BackupResult = {
  isReadBack: true,
  place: 's3://backups/kv/',
  name: 'c1/20261129T120000Z-41',
  clusterId: 'c1',
  memberId: 'a1',
  revision: 41,
  takenAt: '2026-11-29T12:00:00.000Z',
  version: '3.7.0',
  databaseBytes: 5,
  databaseSha256: 'a'.repeat(64),
  storedBytes: 4,
  oldest: { revision: 3, takenAt: '2026-11-28T12:00:00Z' },
  rehearsal: { isVerified: true, message: 'restored' },
}

test('a result is read as it was written, and fits into a termination message', () => {
  assert.deepEqual(decodeBackupResult(encodeBackupResult(RESULT)), RESULT)
  const { oldest: _, rehearsal: __, ...least } = RESULT
  assert.deepEqual(decodeBackupResult(encodeBackupResult(least)), least)
  const long = { ...RESULT, place: 'p'.repeat(1000), name: 'n'.repeat(1000), retentionFailure: 'x'.repeat(5000), rehearsal: { isVerified: false, message: 'r'.repeat(5000) } } // prettier-ignore
  assert.ok(Buffer.byteLength(encodeBackupResult(long)) <= 4096)
  assert.equal(decodeBackupResult(encodeBackupResult(long))?.retentionFailure?.length, 1000)
  assert.equal(decodeBackupResult(encodeBackupResult(long))?.rehearsal?.message.length, 400)
})

test('nothing else passes for a result: above all none that was not read back', () => {
  const text = encodeBackupResult(RESULT)
  for (const other of ['', 'Error: no such bucket', '{}', 'null', text.slice(0, -1), text.replace('true', 'false')])
    assert.equal(decodeBackupResult(other), undefined, other)
  for (const field of Object.keys(RESULT).filter((name) => !['oldest', 'rehearsal'].includes(name)))
    assert.equal(decodeBackupResult(JSON.stringify({ ...RESULT, [field]: undefined })), undefined, field)
})

test('of two backups the one with the lower revision is older, of one revision the earlier', () => {
  const at = (revision: number, takenAt: string): { revision: number; takenAt: string } => ({ revision, takenAt })
  assert.equal(isOlder(at(1, '2026-11-29T13:00:00Z'), at(2, '2026-11-29T12:00:00Z')), true)
  assert.equal(isOlder(at(2, '2026-11-29T12:00:00Z'), at(2, '2026-11-29T12:00:00.500Z')), true)
  assert.equal(isOlder(at(2, '2026-11-29T12:00:00Z'), at(2, '2026-11-29T12:00:00Z')), false)
})
