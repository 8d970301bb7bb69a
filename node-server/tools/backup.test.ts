import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { takeBackup } from '../backup/backup.ts'
import { Directory } from '../backup/directory.ts'
import { etcdSnapshot, STATUS } from '../etcd-file/testing/etcd-snapshot.ts'
import { temporary, tool } from './testing/tool-run.ts'

const NOW = new Date('2026-11-29T12:00:00Z')

/** A directory with backups of those clusters, all of the same snapshot. */
async function place(folder: string, ...clusters: readonly string[]): Promise<string> {
  const path = join(folder, 'backups')
  await mkdir(path)
  for (const clusterId of clusters) {
    // eslint-disable-next-line require-await -- the bytes are there at once
    const pieces = async function* (): AsyncGenerator<Buffer> {
      yield etcdSnapshot()
    }
    const { revision, version } = STATUS
    await takeBackup({ clusterId, memberId: 'a1', revision, version, pieces: pieces() }, new Directory(path), NOW)
  }
  return `file://${path}`
}

test('a backup is listed, fetched as a file that snapshot restore takes, and restored', async (t) => {
  const folder = await temporary(t)
  const to = await place(folder, 'c1')
  const listed = await tool('backup', 'list', '--to', to, '--json')
  assert.equal(listed.code, 0)
  const { name, revision } = JSON.parse(listed.out) as { name: string; revision: number }
  assert.deepEqual([name, revision], [`c1/20261129T120000Z-${STATUS.revision}`, STATUS.revision])
  const output = join(folder, 'backup.db')
  assert.equal((await tool('backup', 'fetch', 'newest', '--to', to, '--output', output)).code, 0)
  const again = await tool('backup', 'fetch', name, '--to', to, '--output', output)
  assert.match(again.err, /backup\.db is there already: name another file/)
  assert.equal((await tool('snapshot', 'restore', output, '--data-dir', join(folder, 'data'))).code, 0)
})

test('newest of several clusters must say of which; what is not there is named', async (t) => {
  const folder = await temporary(t)
  const to = await place(folder, 'c1', 'c2')
  const output = join(folder, 'backup.db')
  const unsaid = await tool('backup', 'fetch', 'newest', '--to', to, '--output', output)
  assert.deepEqual(
    [unsaid.code, unsaid.err],
    [1, 'Error: there are backups of 2 clusters (c1, c2): say which with --cluster\n'],
  )
  assert.equal((await tool('backup', 'fetch', 'newest', '--to', to, '--output', output, '--cluster', 'c2')).code, 0)
  const none = await tool('backup', 'fetch', 'c1/none', '--to', to, '--output', output)
  assert.match(none.err, /there is no backup c1\/none in file:.*`backup list` shows all/)
})

test('prune removes what is not to be kept, and says so', async (t) => {
  const to = await place(await temporary(t), 'c1')
  const pruned = await tool('backup', 'prune', '--to', to, '--cluster', 'c1', '--keep', '1')
  assert.deepEqual([pruned.code, pruned.out], [0, ''])
  assert.equal((await tool('backup', 'prune', '--to', to, '--cluster', 'c1', '--keep', '0')).code, 2)
})

test('places and members that cannot be reached are reported with the reason', async (t) => {
  const to = await place(await temporary(t))
  for (const wrong of ['/backups', 'ftp://host/backups', 's3:///backups', 'file://'])
    assert.match(
      (await tool('backup', 'list', '--to', wrong)).err,
      /give s3:\/\/BUCKET\/PREFIX or file:\/\/\/DIRECTORY/,
    )
  const unreached = await tool('backup', 'take', '--to', to, '--endpoints', 'http://127.0.0.1:1')
  assert.equal(unreached.code, 1)
  assert.match(unreached.err, /no member can be asked: http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/)
})

/** Of a first member, as the operator asks for it. */
function restoreInto(data: string, to: string, ...more: readonly string[]): ReturnType<typeof tool> {
  const member = ['--name=kv-0', '--initial-advertise-peer-urls=http://kv-0:2380', `--data-dir=${data}`]
  return tool('backup', 'restore', 'newest', '--to', to, '--cluster-id=abc', ...member, ...more)
}

test('a backup is restored as the first member of the cluster whose ID is given, however often it is asked for', async (t) => {
  const folder = await temporary(t)
  const to = await place(folder, 'c1')
  const data = join(folder, 'volume', 'data')
  // What an attempt has left that ended half-way.
  await mkdir(join(data, 'restoring', 'db'), { recursive: true })
  await writeFile(`${data}.fetched.db`, 'half of it')
  const restored = await restoreInto(data, to, '--bump-revision=1000')
  assert.equal(restored.code, 0, restored.err)
  assert.match(restored.out, /member kv-0 \([0-9a-f]+\) of cluster abc\n.*, revision \d+, all of it before this marked/)
  assert.deepEqual((await readdir(join(folder, 'volume'))).toSorted(), ['data'])
  const identity = await readFile(join(data, 'member', 'identity.json'), 'utf8')
  const again = await restoreInto(data, to)
  assert.deepEqual([again.code, again.out], [0, `${data} has cluster abc already\n`])
  assert.equal(await readFile(join(data, 'member', 'identity.json'), 'utf8'), identity)
  const other = await restoreInto(data, to, '--cluster-id=def')
  assert.match(other.err, /has a member of cluster abc: give the new cluster another volume/)
})

test('a backup that is not there or damaged leaves nothing that could be started', async (t) => {
  const folder = await temporary(t)
  const to = await place(folder, 'c1')
  const data = join(folder, 'data')
  const [stored = ''] = (await readdir(join(folder, 'backups'), { recursive: true })).filter((name) =>
    name.endsWith('.zst'),
  )
  const path = join(folder, 'backups', stored)
  const whole = await readFile(path)
  await writeFile(path, whole.subarray(0, -9))
  const damaged = await restoreInto(data, to)
  assert.equal(damaged.code, 1)
  assert.match(damaged.err, /is damaged|is not what was written/)
  assert.deepEqual((await readdir(folder)).toSorted(), ['backups', 'data'])
  assert.deepEqual(await readdir(data), [])
  await writeFile(path, whole)
  assert.equal((await restoreInto(data, to)).code, 0)
  assert.equal((await restoreInto(join(folder, 'x'), to, '--cluster-id=0')).code, 2)
})
