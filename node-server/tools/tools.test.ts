import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, readdir, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { memberPaths, readIdentity } from '../storage/data-directory.ts'
import { realDisk } from '../storage/disk.ts'
import { unpackFixture } from '../storage/lmdb-import/testing/fixture.ts'
import { realVolume } from '../storage/volume.ts'
import { lockDirectory } from '../storage/lock.ts'
import { openStore } from '../node/maintenance/snapshots.ts'
import { listMembers } from '../mvcc/members.ts'
import { COMPACTED, dataDirectory, KEYS, REVISION, snapshotOf, temporary, tool } from './testing/tool-run.ts'

const MAIN = join(import.meta.dirname, '..', 'main.ts')
const SEGMENT = '0000000000000001.wal'

/** Puts other bytes into a file, at an offset. */
async function overwrite(path: string, offset: number, bytes: Buffer): Promise<void> {
  const content = await readFile(path)
  bytes.copy(content, offset)
  await writeFile(path, content)
}

test('check: a sound directory, all that is in it, and what a start would do; nothing is changed', async (t) => {
  const { directory } = await dataDirectory(t)
  const before = await readdir(directory, { recursive: true })
  const { code, out, err } = await tool('check', directory)
  assert.deepEqual([code, err], [0, ''])
  assert.match(out, /member infra0 \(a1\) of cluster c1/)
  assert.match(
    out,
    /segment 0{15}1\.wal: .*9 batches with whole checksums \(1 identity, 1 base, 9 hard-state, 8 entry\)/,
  )
  assert.match(out, /log: entries 2 to 9, the last of term \d, behind entry 1 \(term 1\); term 2, vote a1, commit 9/)
  assert.match(out, new RegExp(`${KEYS} keys, 6 stored revisions, at revision ${REVISION}, compacted to ${COMPACTED}`))
  assert.match(
    out,
    /a start would run: 1 committed entry of the log would be applied to the store, and 0 entries await/,
  )
  assert.match(out, /^sound: no damage found$/m)
  assert.deepEqual(
    (await readdir(directory, { recursive: true })).filter((name) => name !== 'lock'),
    before,
  )
})

test('check: a snapshot that waits to be installed is looked at where a start looks for it', async (t) => {
  const { directory, paths } = await dataDirectory(t)
  const store = await openStore(realVolume, paths)
  const received = join(paths.db, `received-${store.appliedIndex}`)
  const pinned = await store.backend.pin()
  await realVolume.stores.receive(received, pinned.read())
  await pinned.release()
  await store.close()
  const sound = await tool('check', directory)
  assert.equal(sound.code, 0)
  assert.match(sound.out, /snapshot of entry 8, received from the leader and not installed/)
  const [name = ''] = (await readdir(received)).filter((file) => file.endsWith('.run'))
  await truncate(join(received, name), 100)
  const cut = await tool('check', directory)
  assert.equal(cut.code, 1)
  assert.match(cut.out, /DAMAGE: the snapshot of entry 8 is damaged/)
})

test('check: a directory in use, none, and an empty one cannot be checked', async (t) => {
  const { directory } = await dataDirectory(t)
  const lock = await lockDirectory(directory)
  assert.ok(lock.ok)
  const used = await tool('check', directory)
  assert.deepEqual([used.code, used.out], [2, ''])
  assert.match(used.err, /another process uses/)
  await lock.value.release()
  assert.equal((await tool('check', join(directory, 'none'))).code, 2)
  assert.equal((await tool('check')).code, 2)
})

test('check: a torn tail is no damage, a changed byte before it is', async (t) => {
  const { directory, paths } = await dataDirectory(t)
  const segment = join(paths.wal, SEGMENT)
  const [, end = '0'] = /(\d+) unused/.exec((await tool('dump', directory)).out) ?? []
  const whole = await readFile(segment)
  await truncate(segment, Number(end) - 5)
  const torn = await tool('check', directory)
  // Entry 9 was committed: that it is gone is damage, that the batch is torn is not.
  assert.match(torn.out, /torn: the batch is cut off/)
  assert.match(torn.out, /note: the last \d+ bytes of the log were never written in full/)
  whole[200] = (whole[200] ?? 0) ^ 0xff // in the header of the third batch
  await writeFile(segment, whole)
  const damaged = await tool('check', directory)
  assert.equal(damaged.code, 1)
  assert.match(damaged.out, /DAMAGE: the log is damaged in .*\n  what to do: remove the member/)
  assert.match(damaged.out, /; at byte \d+ DAMAGED: the checksum of the header does not match/)
  assert.equal((await tool('dump', directory)).code, 1)
})

test('check: a damaged block, a store that is missing, and a log of another directory are found, with what to do', async (t) => {
  const { directory, paths } = await dataDirectory(t)
  const store = join(paths.db, 'store-0')
  const [name = ''] = (await readdir(store)).filter((entry) => entry.endsWith('.run'))
  const file = join(store, name)
  const whole = await readFile(file)
  await overwrite(file, 0, Buffer.alloc(10, 0x5a))
  const damaged = await tool('check', directory)
  assert.equal(damaged.code, 1)
  assert.match(damaged.out, /DAMAGE: .* is not a store that can be read: StoreDamaged: .*\.run, block at 0/)
  await rename(store, join(directory, 'elsewhere'))
  const missing = await tool('check', directory)
  assert.match(missing.out, /DAMAGE: there is no store in/)
  await rename(join(directory, 'elsewhere'), store)
  await writeFile(file, whole)
  const other = await dataDirectory(t)
  await rm(paths.wal, { recursive: true })
  await rename(other.paths.wal, paths.wal)
  const mixed = await tool('check', directory)
  assert.equal(mixed.code, 1)
  assert.match(mixed.out, /identity\.json names another: files of two directories are mixed/)
})

test('check: a store of the version before is no damage, and not read: a start takes it over', async (t) => {
  const directory = join(await temporary(t), 'former')
  unpackFixture(directory)
  const { code, out } = await tool('check', directory)
  assert.equal(code, 0, out)
  assert.match(out, /note: the store is one of the version before \(store-0\.mdb\)\n {2}what to do: start the member/)
  assert.doesNotMatch(out, /a start would/)
})

test('dump: a line for each record, and only the entries that are asked for', async (t) => {
  const { directory } = await dataDirectory(t)
  const all = await tool('dump', directory)
  assert.equal(all.code, 0)
  const lines = all.out.trimEnd().split('\n')
  assert.match(lines[0] ?? '', /^0{15}1\.wal 0 batch=1 identity cluster=c1 member=a1 incarnation=[0-9a-f]+$/)
  assert.match(lines.at(-1) ?? '', /^0{15}1\.wal \d+ unused \d+ bytes$/)
  const some = await tool('dump', directory, '--from', '4', '--to', '5', '--values')
  const entries = some.out
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^\S+ \d+ /, ''))
  assert.deepEqual(entries, [
    'batch=4 entry term=2 index=4 put "key 4" value="value"',
    'batch=5 entry term=2 index=5 put "key 5" value="value"',
  ])
  const none = await tool('dump', join(directory, 'none'))
  assert.deepEqual([none.code, none.out], [1, ''])
  assert.equal((await tool('dump', directory, '--from', 'x')).code, 2)
})

test('dump: a reader that goes away after a line is no error', async (t) => {
  const { directory } = await dataDirectory(t)
  const child = spawn(process.execPath, [MAIN, 'dump', directory], { stdio: ['ignore', 'pipe', 'pipe'] })
  let complaints = ''
  child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString('utf8')))
  child.stdout.destroy()
  const [code] = (await once(child, 'close')) as [number | null]
  assert.deepEqual([code, complaints], [0, ''])
})

test('snapshot status: what is in it; what is no snapshot is refused', async (t) => {
  const folder = await temporary(t)
  const { paths } = await dataDirectory(t)
  const path = join(folder, 'snapshot.db')
  await snapshotOf(paths, path)
  const status = await tool('snapshot', 'status', path, '-w', 'json')
  assert.equal(status.code, 0, status.err)
  const sizeBytes = (await readFile(path)).length - 32
  const { hash, ...rest } = JSON.parse(status.out) as Record<string, unknown>
  assert.equal(typeof hash, 'number')
  assert.deepEqual(rest, { revision: REVISION, totalKey: KEYS, totalSize: sizeBytes, version: 'raftkv-1' })
  assert.deepEqual(await readdir(folder), ['snapshot.db'])
  await writeFile(join(folder, 'text'), 'no snapshot at all'.padEnd(512, '.'))
  const text = await tool('snapshot', 'status', join(folder, 'text'), '--skip-hash-check')
  assert.equal(text.code, 1)
  assert.match(text.err, /^Error: .*this is no archive of a store/)
  assert.equal((await tool('snapshot', 'status', path, '-w', 'protobuf')).code, 2)
  assert.equal((await tool('snapshot', 'status')).code, 2)
})

const CLUSTER = 'a=http://127.0.0.1:1,b=http://127.0.0.1:2'
const asA = ['--name', 'a', '--initial-cluster', CLUSTER, '--initial-advertise-peer-urls', 'http://127.0.0.1:1']

test('snapshot restore: a member of a new cluster, by the rules of a static start', async (t) => {
  const folder = await temporary(t)
  const { paths } = await dataDirectory(t)
  const path = join(folder, 'snapshot.db')
  await snapshotOf(paths, path)
  const made = join(folder, 'made')
  const restored = await tool('snapshot', 'restore', path, '--data-dir', made, ...asA, '--initial-cluster-token', 'new')
  assert.equal(restored.code, 0, restored.err)
  const identity = await readIdentity(realDisk, made)
  assert.ok(identity.ok && identity.value?.name === 'a')
  assert.match(restored.out, new RegExp(`member a \\(${identity.value.memberId.toString(16)}\\) of cluster`))
  const store = await openStore(realVolume, memberPaths(made))
  assert.deepEqual(
    listMembers(store)
      .map(({ name }) => name)
      .toSorted(),
    ['a', 'b'],
  )
  assert.deepEqual([store.revision, store.appliedIndex, store.compactedRevision], [REVISION, 1, COMPACTED])
  await store.close()
  const checked = await tool('check', made)
  assert.equal(checked.code, 0, checked.out)
  const again = await tool('snapshot', 'restore', path, '--data-dir', made, ...asA)
  assert.deepEqual([again.code, again.err], [1, `Error: data-dir "${made}" not empty or could not be read\n`])
})

test('snapshot restore: the store of a member that does not run, or of the version before, takes the place of a file', async (t) => {
  const folder = await temporary(t)
  const { paths } = await dataDirectory(t)
  const former = join(folder, 'former')
  unpackFixture(former)
  const formerStore = join(memberPaths(former).db, 'store-0.mdb')
  const before = await readdir(former, { recursive: true })
  for (const [i, path] of [join(paths.db, 'store-0'), formerStore].entries()) {
    const refused = await tool('snapshot', 'restore', path, '--data-dir', join(folder, 'none'), ...asA)
    assert.match(refused.err, /snapshot missing hash but --skip-hash-check=false/)
    const made = join(folder, `made-${i}`)
    const restored = await tool('snapshot', 'restore', path, '--data-dir', made, ...asA, '--skip-hash-check')
    assert.equal(restored.code, 0, restored.err)
    assert.match(restored.out, i === 0 ? new RegExp(`${KEYS} keys, revision ${REVISION}`) : /254 keys, revision 52/)
    assert.equal((await tool('check', made)).code, 0)
  }
  assert.deepEqual(await readdir(former, { recursive: true }), before)
})

test('snapshot restore: wrong flags are refused in etcdutl’s words, and nothing is written', async (t) => {
  const folder = await temporary(t)
  const { paths } = await dataDirectory(t)
  const path = join(folder, 'snapshot.db')
  await snapshotOf(paths, path)
  const made = join(folder, 'made')
  const cases: readonly [readonly string[], number, RegExp][] = [
    [['--name', 'x', '--initial-cluster', CLUSTER], 1, /couldn't find local name "x" in the initial cluster/],
    [
      ['--name', 'a', '--initial-cluster', CLUSTER],
      1,
      /--initial-cluster has a=http:\/\/127\.0\.0\.1:1 but missing from --initial-advertise-peer-urls=http:\/\/localhost:2380/,
    ],
    [[...asA, '--bump-revision', '5'], 2, /--mark-compacted required if --bump-revision > 0/],
    [[...asA, '--mark-compacted'], 2, /--mark-compacted required if --bump-revision > 0/],
    [[...asA, '--bump-revision', '-5', '--mark-compacted'], 2, /not a whole number/],
    [[...asA, '--bump-revision', '9007199254740993', '--mark-compacted'], 2, /not a whole number/],
    [[...asA, '--wal-dir', folder], 2, /--wal-dir/],
    [['--initial-cluster', 'nonsense'], 1, /--initial-cluster: 'nonsense' is not of the form/],
  ]
  for (const [flags, code, reason] of cases) {
    const refused = await tool('snapshot', 'restore', path, '--data-dir', made, ...flags)
    assert.equal(refused.code, code, flags.join(' '))
    assert.match(refused.err, reason)
  }
  assert.deepEqual(await readdir(folder), ['snapshot.db'])
})

test('snapshot restore: a snapshot with damaged blocks leaves nothing; an unfinished restore is refused at start and can be repeated', async (t) => {
  const folder = await temporary(t)
  const { paths } = await dataDirectory(t)
  const path = join(folder, 'snapshot.db')
  await snapshotOf(paths, path)
  const made = join(folder, 'made')
  const broken = join(folder, 'broken.db')
  const content = await readFile(path)
  content.fill(0x5a, content.length >> 1, content.length - 32)
  await writeFile(broken, content)
  const refused = await tool('snapshot', 'restore', broken, '--data-dir', made, ...asA, '--skip-hash-check')
  assert.equal(refused.code, 1)
  assert.deepEqual(await readdir(folder), ['broken.db', 'snapshot.db'])
  // As a crash on the way leaves it.
  await mkdir(join(made, 'restoring', 'db'), { recursive: true })
  const start = await readIdentity(realDisk, made)
  assert.ok(!start.ok)
  assert.match(start.error, /the restore did not end: run it again, or empty the directory/)
  assert.equal((await tool('check', made)).code, 1)
  const repeated = await tool('snapshot', 'restore', path, '--data-dir', made, ...asA)
  assert.equal(repeated.code, 0, repeated.err)
  assert.deepEqual((await readdir(made)).toSorted(), ['lock', 'member'])
})

test('every tool has --help', async () => {
  for (const args of [['snapshot'], ['snapshot', 'status'], ['snapshot', 'restore'], ['check'], ['dump']]) {
    const { code, out } = await tool(...args, '--help')
    assert.equal(code, 0)
    assert.match(out, new RegExp(`^Usage: raftkv ${args.join(' ')}`))
  }
})
