import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { checkWalDirectory, linkWalDirectory } from './wal-directory.ts'

let root: string
let data: string
let wal: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'raftkv-wal-dir-'))
  data = join(root, 'data')
  wal = join(root, 'wal')
  await mkdir(join(data, 'member'), { recursive: true })
})
afterEach(() => rm(root, { recursive: true, force: true }))

test('a new member takes an empty directory, or one that is not there', async () => {
  assert.ok((await checkWalDirectory(wal, data, false)).ok)
  await linkWalDirectory(wal, join(data, 'member', 'wal'))
  await writeFile(join(data, 'member', 'wal', 'segment'), 'bytes')
  assert.deepEqual(await readdir(wal), ['segment'])
})

test('a directory with files of somebody else is refused, and they stay', async () => {
  await mkdir(wal)
  await writeFile(join(wal, 'segment'), 'of another member')
  const checked = await checkWalDirectory(wal, data, false)
  assert.ok(!checked.ok)
  assert.match(checked.error, /is not empty \(segment\)/)
  assert.deepEqual(await readdir(wal), ['segment'])
})

test('what an interrupted start has left is cleared away', async () => {
  await mkdir(join(data, 'creating'))
  await linkWalDirectory(wal, join(data, 'creating', 'wal'))
  await writeFile(join(wal, 'segment'), 'half')
  assert.ok((await checkWalDirectory(wal, data, false)).ok)
  assert.deepEqual(await readdir(wal), [])
})

test('a member that is there has its log where the flag says, or is refused with what to do', async () => {
  await linkWalDirectory(wal, join(data, 'member', 'wal'))
  assert.ok((await checkWalDirectory(wal, data, true)).ok)
  await symlink(wal, join(root, 'another-name'))
  assert.ok((await checkWalDirectory(join(root, 'another-name'), data, true)).ok)
  const checked = await checkWalDirectory(join(root, 'elsewhere'), data, true)
  assert.ok(!checked.ok)
  assert.match(checked.error, /but the log of this member is in .*wal: to move it, stop the member/)
})
