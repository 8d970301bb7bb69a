import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { isMissing, realDisk, type Disk } from './disk.ts'
import { KEEP_ALL, KEEP_NOTHING, MemoryDisk } from './testing/memory-disk.ts'

const disks: readonly [string, () => Disk, (t: TestContext) => Promise<string>][] = [
  [
    'real',
    () => realDisk,
    async (t) => {
      const directory = await mkdtemp(join(tmpdir(), 'raftkv-disk-'))
      t.after(() => rm(directory, { recursive: true }))
      return directory
    },
  ],
  ['memory', () => new MemoryDisk(), async () => '/'],
]

for (const [name, createDisk, makeRoot] of disks) {
  test(`the ${name} disk does what its interface says`, async (t) => {
    const disk = createDisk()
    const root = await makeRoot(t)
    const folder = join(root, 'a', 'b')
    assert.deepEqual(await disk.list(folder), [])
    await disk.makeDirectory(folder)
    await disk.makeDirectory(folder)
    await assert.rejects(disk.open(join(folder, 'x'), { create: false }), isMissing)
    await assert.rejects(disk.readFile(join(folder, 'x')), isMissing)
    const file = await disk.open(join(folder, 'x'), { create: true })
    await file.write(Buffer.from('hello'), 3)
    await file.write(Buffer.from('HE'), 3)
    await file.sync()
    assert.equal((await disk.readFile(join(folder, 'x'))).toString('latin1'), '\0\0\0HEllo')
    const into = Buffer.alloc(4, '.')
    assert.deepEqual([file.readSync(into, 3), into.toString()], [4, 'HEll'])
    assert.deepEqual([file.readSync(into, 6), into.toString()], [2, 'loll'])
    assert.equal(file.readSync(into, 8), 0)
    await file.truncate(5)
    await file.close()
    const reading = await disk.open(join(folder, 'x'), { create: false, isReadOnly: true })
    assert.deepEqual(await reading.read(9, 3), Buffer.from('HE'))
    await reading.close()
    const again = await disk.open(join(folder, 'x'), { create: true })
    await again.write(Buffer.from('!'), 5)
    await again.close()
    assert.equal((await disk.readFile(join(folder, 'x'))).toString('latin1'), '\0\0\0HE!')
    await disk.rename(join(folder, 'x'), join(folder, 'y'))
    await (await disk.open(join(folder, 'c'), { create: true })).close()
    await disk.syncDirectory(folder)
    assert.deepEqual(await disk.list(folder), ['c', 'y'])
    await assert.rejects(disk.rename(join(folder, 'x'), join(folder, 'z')), isMissing)
    await disk.remove(join(folder, 'x'))
    await disk.remove(join(root, 'a'))
    await disk.remove(join(folder, 'y'))
    assert.deepEqual(await disk.list(root), [])
  })
}

test('the memory disk forgets what was not synced: bytes, new names, renames', async () => {
  const disk = new MemoryDisk()
  const file = await disk.open('/a', { create: true })
  await file.write(Buffer.from('old'), 0)
  await file.sync()
  await disk.syncDirectory('/')
  await file.write(Buffer.from('new'), 0)
  await disk.rename('/a', '/b')
  const forgetful = disk.crash(KEEP_NOTHING)
  assert.deepEqual(await forgetful.list('/'), ['a'])
  assert.equal((await forgetful.readFile('/a')).toString(), 'old')
  const lucky = disk.crash(KEEP_ALL)
  assert.deepEqual(await lucky.list('/'), ['b'])
  assert.equal((await lucky.readFile('/b')).toString(), 'new')
})

test('the memory disk may keep any sectors of an unsynced write', async () => {
  const seen = new Set<string>()
  for (let choice = 0; choice < 8; choice++) {
    const disk = new MemoryDisk()
    const file = await disk.open('/a', { create: true })
    await disk.syncDirectory('/')
    await file.write(Buffer.alloc(1536, 'x'), 0)
    let asked = 0
    // Folder: as it is; file: some sectors; then one bit of the choice a sector.
    const next = disk.crash((count) => (count === 3 ? 1 : count === 2 ? (choice >> asked++) & 1 : 0))
    const content = await next.readFile('/a')
    seen.add([0, 512, 1024].map((at) => (content.subarray(at, at + 512).includes('x') ? 'x' : '.')).join(''))
  }
  assert.deepEqual([...seen].toSorted(), ['...', '..x', '.x.', '.xx', 'x..', 'x.x', 'xx.', 'xxx'])
})
