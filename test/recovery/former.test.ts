/** A data directory of the version before: taken over at the start, and gone on with. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { hashState } from '../../node-server/mvcc/testing/hash-state.ts'
import { openDataDirectory } from '../../node-server/node/lifecycle/open.ts'
import { VirtualClock } from '../../node-server/node/testing/virtual-clock.ts'
import { readIdentity } from '../../node-server/storage/data-directory.ts'
import type { Disk } from '../../node-server/storage/disk.ts'
import { EXPECTED, unpackFixture } from '../../node-server/storage/lmdb-import/testing/fixture.ts'
import { runsEngine } from '../../node-server/storage/runs/engine.ts'
import { realVolume } from '../../node-server/storage/volume.ts'
import { nodeOptions } from './member-process.ts'

test('a start takes the store of the version before over, with all that is in it; so does the next', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'raftkv-former-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  unpackFixture(directory)
  const identity = await readIdentity(realVolume.disk, directory)
  assert.ok(identity.ok && identity.value !== undefined)
  const written = (): string => readFileSync(join(directory, 'member', 'identity.json'), 'utf8')
  assert.ok(!written().includes('format'), 'as the version before looks for it')
  for (const start of ['first', 'second']) {
    const opened = await openDataDirectory(realVolume, directory, identity.value, nodeOptions(new VirtualClock()))
    assert.ok(opened.ok, opened.ok ? '' : opened.error)
    const { store, wal, raft } = opened.value
    const { appliedIndex, revision, compactedRevision } = store
    const { hash, lastIndex, tables, ...expected } = EXPECTED
    assert.deepEqual({ appliedIndex, revision, compactedRevision }, expected, start)
    assert.equal(hashState(store), hash)
    assert.equal(raft.log.base.index + raft.log.entries.length, lastIndex)
    assert.equal(store.backend.count('current', Buffer.of(0), undefined), tables.current.rows)
    await store.close()
    await wal.close()
    assert.deepEqual(await readdir(join(directory, 'member', 'db')), ['store-0'])
    assert.match(written(), /"format": 2/, 'the version before refuses it')
  }
})

test('one that does not fit the disk twice is refused with what to do, and is as it was', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'raftkv-former-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  unpackFixture(directory)
  const identity = await readIdentity(realVolume.disk, directory)
  assert.ok(identity.ok && identity.value !== undefined)
  const full = async (path: string): Promise<never> => {
    throw Object.assign(new Error(`ENOSPC: no space left on device, open '${path}'`), { code: 'ENOSPC' })
  }
  const disk: Disk = {
    ...realVolume.disk,
    open: (path, options) =>
      options.create && path.includes('/db/') ? full(path) : realVolume.disk.open(path, options),
  }
  const volume = { ...realVolume, disk, stores: runsEngine(disk) }
  const opened = await openDataDirectory(volume, directory, identity.value, nodeOptions(new VirtualClock()))
  assert.ok(!opened.ok)
  assert.match(
    opened.error,
    /could not be taken over \(ENOSPC: .*\); .* enlarge the volume and start again, or remove the member/,
  )
  const file = readFileSync(join(directory, 'member', 'identity.json'), 'utf8')
  assert.ok(!file.includes('format'), 'the version before goes on with it')
  const again = await openDataDirectory(realVolume, directory, identity.value, nodeOptions(new VirtualClock()))
  assert.ok(again.ok)
  assert.equal(hashState(again.value.store), EXPECTED.hash)
  await again.value.store.close()
  await again.value.wal.close()
})
