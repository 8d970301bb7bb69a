import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RESERVED_DISK_SIZE_BYTES } from '../../limits.ts'
import { DiskRoom } from './disk-room.ts'

const MIB = 1024 * 1024

function room(totalBytes: number): { room: DiskRoom; store: { freeBytes: number }; log: { freeBytes: number } } {
  const [store, log] = [
    { freeBytes: totalBytes, totalBytes },
    { freeBytes: totalBytes, totalBytes },
  ]
  return { room: new DiskRoom({ storeSpace: () => store, logSpace: () => log }), store, log }
}

test('copies leave the reserve, writes end at half of it, and a defragmentation may go on to a quarter', () => {
  const large = room(2 ** 40)
  const small = room(80 * MIB)
  for (const [{ room, store }, reserve] of [
    [large, RESERVED_DISK_SIZE_BYTES],
    [small, 10 * MIB],
  ] as const) {
    store.freeBytes = reserve + 100
    assert.ok(!room.claim(101).ok)
    const claimed = room.claim(100)
    assert.ok(claimed.ok)
    claimed.value()
    store.freeBytes = reserve / 2
    assert.deepEqual([room.writableBytes, room.claim(1).ok], [0, false])
    store.freeBytes -= 1
    assert.equal(room.writableBytes, -1)
    store.freeBytes = reserve / 4 + 1
    assert.deepEqual([room.claim(1, 'defragmentation').ok, room.claim(1, 'defragmentation').ok], [true, false])
  }
})

test('the log may have a volume of its own, which counts for writes', () => {
  const { room: diskRoom, log } = room(2 ** 40)
  log.freeBytes = 0
  assert.deepEqual([diskRoom.writableBytes < 0, diskRoom.claim(1000).ok], [true, true])
})

test('copies under way are counted until they are whole or given up', async () => {
  const { room: diskRoom, store } = room(2 ** 40)
  store.freeBytes = RESERVED_DISK_SIZE_BYTES + 100
  const first = diskRoom.claim(60)
  assert.ok(first.ok)
  const refused = diskRoom.claim(41)
  assert.match(
    refused.ok ? '' : refused.error,
    /^no room on the disk for 41 bytes: 536871012 are free, of which a copy may take 40$/,
  )
  await assert.rejects(
    diskRoom.during(41, async () => assert.fail('it is not begun')),
    { name: 'NoRoom' },
  )
  first.value()
  await assert.rejects(
    diskRoom.during(100, () => Promise.reject(new Error('the disk'))),
    { message: 'the disk' },
  )
  assert.equal(await diskRoom.during(100, async () => diskRoom.claim(1).ok), false)
  assert.ok(diskRoom.claim(100).ok)
})
