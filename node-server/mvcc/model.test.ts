import { test } from 'node:test'
import { MemoryBackend } from './memory-backend.ts'
import { checkAgainstTwin } from './testing/model-property.ts'

test('any history of commands gives the answers of a store that copies itself at every revision', async () => {
  const beforeCommit = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  await checkAgainstTwin(() => Promise.resolve(new MemoryBackend({ beforeCommit })), 700)
})
