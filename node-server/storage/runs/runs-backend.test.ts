import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Backend } from '../../mvcc/backend.ts'
import { testBackend } from '../../mvcc/testing/backend-conformance.ts'
import { realDisk, type Disk } from '../disk.ts'
import { MemoryDisk } from '../testing/memory-disk.ts'
import { receiveArchive } from './archive.ts'
import { RunsBackend } from './runs-backend.ts'
import { localWriter, threadWriter, type StartWriter } from './writer-link.ts'

const asBackend = (disk: Disk, runs: RunsBackend): Backend => ({
  get: (table, key) => runs.get(table, key),
  scan: (table, start, end, options) => runs.scan(table, start, end, options),
  count: (table, start, end) => runs.count(table, start, end),
  commit: (writes) => runs.commit(writes),
  size: () => runs.size(),
  writeSnapshot: async (path) => {
    const pinned = await runs.pin()
    await receiveArchive(disk, path, pinned.read())
    await pinned.release()
  },
  defragment: () => runs.defragment(),
  close: () => runs.close(),
})

function testRuns(
  name: string,
  disk: () => Disk,
  writer: (disk: Disk) => StartWriter,
  root: () => string,
  cleanUp: (root: string) => void,
) {
  testBackend(name, () => {
    const at = root()
    const on = disk()
    const open = async (path: string): Promise<Backend> => asBackend(on, await RunsBackend.open(on, path, writer(on)))
    return {
      open: () => open(join(at, 'store')),
      reopen: () => open(join(at, 'store')),
      snapshotPath: () => join(at, 'snapshot'),
      openSnapshot: (path) => open(path),
      cleanUp: () => Promise.resolve(cleanUp(at)),
    }
  })
}

testRuns(
  'runs, with a thread',
  () => realDisk,
  () => threadWriter,
  () => mkdtempSync(join(tmpdir(), 'raftkv-runs-')),
  (root) => rmSync(root, { recursive: true }),
)
testRuns(
  'runs, on a simulated disk',
  () => new MemoryDisk(),
  localWriter,
  () => '/',
  () => undefined,
)
