import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { err, ok } from '../../lib/result.ts'
import { takeBackup, type StoredBackup } from '../backup/backup.ts'
import { Directory } from '../backup/directory.ts'
import type { MemberHash } from '../backup/source.ts'
import { etcdSnapshot, HASH_KV, STATUS } from '../etcd-file/testing/etcd-snapshot.ts'
import { rehearse } from './rehearsal.ts'
import { temporary } from './testing/tool-run.ts'

const { hash, compact_revision: compactedRevision } = HASH_KV.HashKV
/** etcd's own, of the cluster that the snapshot is of. */
const EXPECTED: MemberHash = { hash, compactedRevision }

interface Taken {
  readonly backup: StoredBackup
  readonly place: Directory
  readonly path: string
  readonly directory: string
}

async function taken(t: TestContext): Promise<Taken> {
  const folder = await temporary(t)
  const [path, directory] = [join(folder, 'backups'), join(folder, 'scratch')]
  await mkdir(path)
  await mkdir(directory)
  // eslint-disable-next-line require-await -- the bytes are there at once
  const pieces = async function* (): AsyncGenerator<Buffer> {
    yield etcdSnapshot()
  }
  const { revision, version } = STATUS
  const place = new Directory(path)
  const snapshot = { clusterId: 'c1', memberId: 'a1', revision, version, pieces: pieces() }
  return { backup: await takeBackup(snapshot, place, new Date('2026-11-29T12:00:00Z')), place, path, directory }
}

test('a backup is verified when a member restored from it has the HashKV of the cluster; nothing of it stays', async (t) => {
  const { backup, place, directory } = await taken(t)
  const said = await rehearse(backup, place, ok(EXPECTED), { directory, maxBytes: undefined })
  assert.deepEqual(said, {
    isVerified: true,
    message: `restored, and HashKV of revision ${STATUS.revision} is the same: ${hash}`,
  })
  assert.deepEqual(await readdir(directory), [])
})

test('whatever keeps a backup from being compared or restored leaves it unverified, with the reason, and nothing else', async (t) => {
  const { backup, place, path, directory } = await taken(t)
  const unlimited = { directory, maxBytes: undefined }
  const other = await rehearse(backup, place, ok({ ...EXPECTED, hash: hash + 1 }), unlimited)
  assert.equal(other.isVerified, false)
  assert.match(other.message, /^restored, and HashKV of revision \d+ is \d+, where the cluster has \d+$/)
  const unasked = await rehearse(backup, place, err('http://a: no HashKV'), unlimited)
  assert.deepEqual(unasked, { isVerified: false, message: 'http://a: no HashKV' })
  const small = await rehearse(backup, place, ok(EXPECTED), { directory, maxBytes: 1_000_000 })
  assert.match(small.message, /^a restore needs up to .* MB, and 1\.0 MB are available$/)
  const nowhere = await rehearse(backup, place, ok(EXPECTED), { ...unlimited, directory: join(path, backup.name, 'manifest.json') }) // prettier-ignore
  assert.match(nowhere.message, /^it could not be restored: .*ENOTDIR/)
  const file = join(path, backup.name, 'snapshot.db.zst')
  await writeFile(file, (await readFile(file)).subarray(0, -9))
  const damaged = await rehearse(backup, place, ok(EXPECTED), unlimited)
  assert.match(damaged.message, /^it could not be restored: .*(is damaged|is not what was written)/)
  for (const one of [other, unasked, small, nowhere, damaged]) assert.equal(one.isVerified, false)
  assert.deepEqual(await readdir(directory), [])
})
