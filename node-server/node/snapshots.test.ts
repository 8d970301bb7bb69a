import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { MalformedBytes } from '../../lib/bytes.ts'
import { LogIndex, MemberId, Term } from '../../lib/ids.ts'
import { Store } from '../mvcc/store.ts'
import { put } from '../mvcc/testing/requests.ts'
import { EMPTY_CONFIGURATION } from '../raft/membership.ts'
import { LmdbBackend } from '../storage/backend.ts'
import { memberPaths, type MemberPaths } from '../storage/data-directory.ts'
import { realVolume } from '../storage/volume.ts'
import type { ReceivedSnapshot } from '../transport/transport.ts'
import { Snapshots } from './snapshots.ts'

/** A snapshot of entry 2 (term 1) that has just come in. */
async function incoming(t: TestContext): Promise<{ paths: MemberPaths; snapshots: Snapshots; path: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'raftkv-snapshots-'))
  t.after(() => rm(directory, { recursive: true }))
  const paths = memberPaths(directory)
  for (const folder of [paths.db, paths.snapshots]) await mkdir(folder, { recursive: true })
  const store = new Store(new LmdbBackend(join(directory, 'source.mdb')))
  put(store, 'a', '1')
  put(store, 'b', '2')
  await store.commit()
  const path = join(paths.snapshots, 'incoming-1.tmp')
  await store.backend.writeSnapshot(path)
  await store.close()
  return { paths, snapshots: new Snapshots(realVolume, paths), path }
}

function received(path: string, index: number, term: number): ReceivedSnapshot {
  const snapshot = {
    index: LogIndex(index),
    term: Term(term),
    configIndex: LogIndex(1),
    configuration: EMPTY_CONFIGURATION,
  }
  return { path, message: { kind: 'snapshot-request', from: MemberId(2n), to: MemberId(1n), term: Term(3), snapshot } }
}

test('a snapshot that holds what its message says is kept under its index, and becomes the store', async (t) => {
  const { paths, snapshots, path } = await incoming(t)
  await snapshots.keep(received(path, 2, 1))
  assert.deepEqual([await readdir(paths.snapshots), await readdir(paths.db)], [[], ['received-2.db']])
  assert.deepEqual(await snapshots.received(), [2])
  const store = await snapshots.install(LogIndex(2))
  assert.deepEqual([store.appliedIndex, store.revision], [2, 3])
  await snapshots.removeOldStores()
  assert.deepEqual(
    (await readdir(paths.db)).filter((name) => !name.endsWith('-lock')),
    ['store-2.mdb'],
  )
  await store.close()
})

test('one that holds something else, or is no store, is refused before anything rests on it', async (t) => {
  const { paths, snapshots, path } = await incoming(t)
  for (const [index, term] of [
    [3, 1],
    [2, 2],
  ] as const) {
    await assert.rejects(snapshots.keep(received(path, index, term)), MalformedBytes)
  }
  await writeFile(path, 'no store')
  await assert.rejects(snapshots.keep(received(path, 2, 1)), { name: 'NotAStore' })
  assert.deepEqual(await readdir(paths.snapshots), ['incoming-1.tmp'])
  assert.deepEqual(await snapshots.received(), [])
})
