import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { run } from '../process.ts'
import { unpackEarlierRelease } from './earlier-release.ts'

test('the release before comes out of the repository as it was; a clone that does not have it is told, and has itself', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'earlier-release-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const [root, cache] = [join(folder, 'root'), join(folder, 'cache')]
  for (const path of [root, cache]) mkdirSync(path)
  const git = (...args: string[]): Promise<string> =>
    run(['git', '-C', root, '-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args])
  await git('init', '--quiet')
  writeFileSync(join(root, 'file'), 'before')
  await git('add', 'file')
  await git('commit', '--quiet', '--message=before')
  const commit = (await git('rev-parse', 'HEAD')).trim()
  writeFileSync(join(root, 'file'), 'now')
  const notes: string[] = []
  const report = { note: (text: string) => void notes.push(text) }
  for (const time of ['first', 'second']) {
    const earlier = await unpackEarlierRelease(report, root, cache, commit)
    assert.equal(readFileSync(join(earlier, 'file'), 'utf8'), 'before', time)
  }
  assert.deepEqual(notes, [])
  assert.equal(await unpackEarlierRelease(report, root, cache, '0'.repeat(40)), root)
  assert.match(notes.join(), /does not have 0{40}, the release before/)
})
