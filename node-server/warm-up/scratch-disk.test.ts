import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMissing } from '../storage/disk.ts'
import { scratchDisk } from './scratch-disk.ts'

test('files are written anywhere, read back, cut, and are as long as their last byte', async () => {
  const disk = scratchDisk()
  const file = await disk.open('folder/file', { create: true })
  await file.write(Buffer.from('efgh'), 4)
  await file.write(Buffer.from('abcd'), 0)
  assert.equal(await file.size(), 8)
  assert.equal((await file.read(100, 2)).toString(), 'cdefgh')
  assert.equal((await disk.readFile('folder/file')).toString(), 'abcdefgh')
  await file.truncate(3)
  assert.equal((await file.read(100, 0)).toString(), 'abc')
  await file.sync()
  await file.close()
})

test('names are listed by folder, move with what is in them, and go', async () => {
  const disk = scratchDisk()
  for (const path of ['a/one', 'a/b/two', 'a/b/three', 'c/four']) await disk.open(path, { create: true })
  assert.deepEqual(await disk.list('a'), ['b', 'one'])
  const two = disk.touch('a/b/two')
  await disk.rename('a/b', 'd')
  assert.deepEqual([await disk.list('a'), await disk.list('d')], [['one'], ['three', 'two']])
  assert.equal(disk.touch('d/two'), two)
  await disk.remove('d')
  assert.deepEqual(await disk.list('d'), [])
  await assert.rejects(disk.open('d/two', { create: false }), isMissing)
  await assert.rejects(disk.readFile('d/two'), isMissing)
})
