import { MemoryBackend, type MemoryFiles } from './memory-backend.ts'
import { testBackend } from './testing/backend-conformance.ts'

testBackend('memory', () => {
  const files: MemoryFiles = new Map()
  return {
    open: () => Promise.resolve(new MemoryBackend({ files })),
    snapshotPath: () => 'snapshot',
    openSnapshot: (path) => Promise.resolve(files.get(path) ?? new MemoryBackend()),
    cleanUp: () => Promise.resolve(),
  }
})
