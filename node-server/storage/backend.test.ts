import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { testBackend } from '../mvcc/testing/backend-conformance.ts'
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
