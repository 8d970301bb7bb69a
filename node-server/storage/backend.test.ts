import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { testBackend } from '../mvcc/testing/backend-conformance.ts'
import { checkAgainstTwin } from '../mvcc/testing/model-property.ts'
import { LmdbBackend } from './backend.ts'

testBackend('LMDB', () => {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-backend-'))
  const path = join(directory, 'store.lmdb')
  return {
    open: () => Promise.resolve(new LmdbBackend(path)),
    reopen: () => Promise.resolve(new LmdbBackend(path)),
    snapshotPath: () => join(directory, 'snapshot.lmdb'),
    openSnapshot: (snapshot) => Promise.resolve(new LmdbBackend(snapshot, { isReadOnly: true })),
    cleanUp: () => Promise.resolve(rmSync(directory, { recursive: true, force: true })),
  }
})

test('any history of commands gives the answers of the naive twin over LMDB too', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-model-'))
  let runs = 0
  await checkAgainstTwin(() => Promise.resolve(new LmdbBackend(join(directory, `${runs++}.lmdb`))), 40)
  rmSync(directory, { recursive: true, force: true })
})
