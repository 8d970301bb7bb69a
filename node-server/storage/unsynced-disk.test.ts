import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KEEP_NOTHING, MemoryDisk } from './testing/memory-disk.ts'
import { withoutSync } from './unsynced-disk.ts'

test('without syncs everything is there to be read, and nothing is after a power loss', async () => {
  const memory = new MemoryDisk()
  const disk = withoutSync(memory)
  const file = await disk.open('/x', { create: true })
  await file.write(Buffer.from('written'), 0)
  await file.sync()
  await disk.syncDirectory('/')
  assert.equal((await disk.readFile('/x')).toString(), 'written')
  assert.deepEqual(await memory.crash(KEEP_NOTHING).list('/'), [])
})
