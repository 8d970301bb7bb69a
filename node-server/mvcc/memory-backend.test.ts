import { MemoryBackend } from './memory-backend.ts'
import { testBackend } from './testing/backend-conformance.ts'

testBackend('memory', () => {
  return {
    open: () => Promise.resolve(new MemoryBackend()),
    receive: (pieces) => MemoryBackend.receive(pieces),
    cleanUp: () => Promise.resolve(),
  }
})
