import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { MemorySocket } from './memory-socket.ts'

test('what one end writes the other reads, at a later turn and in its order; an end is an end', async () => {
  const [a, b] = MemorySocket.pair()
  const read: string[] = []
  b.on('data', (chunk: Buffer) => read.push(chunk.toString()))
  a.write(Buffer.from('one'))
  a.cork()
  a.write(Buffer.from('two'))
  a.write(Buffer.from('three'))
  a.uncork()
  assert.deepEqual(read, [])
  const ended = once(b, 'end')
  a.end(Buffer.from('four'))
  await ended
  assert.equal(read.join(' '), 'one twothree four')
})

test('both ends speak', async () => {
  const [a, b] = MemorySocket.pair()
  b.write(Buffer.from('from b'))
  const [chunk] = (await once(a, 'data')) as [Buffer]
  assert.equal(chunk.toString(), 'from b')
})
