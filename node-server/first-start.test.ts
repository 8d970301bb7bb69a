import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

test('a member finds in the cache that the first start has filled all that it loads', (t) => {
  const cache = temporaryFolder(t)
  const first = start(cache)
  assert.match(first, /reading cache from .*\/admin-app\.ts\.\.\. no such file/)
  const second = start(cache)
  assert.match(second, /reading cache from .*\/admin-app\.ts\.\.\..* success/)
  assert.match(second, /reading cache from .*\/writer-thread\.ts\.\.\..* success/)
  assert.deepEqual(second.match(/reading cache from .*no such file.*/g), null)
})

/** What Node says of its cache meanwhile. */
function start(cache: string): string {
  const { status, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, 'first-start.ts')], {
    encoding: 'utf8',
    env: { ...process.env, NODE_COMPILE_CACHE: cache, NODE_DEBUG_NATIVE: 'COMPILE_CACHE' },
    maxBuffer: 64 * 1024 * 1024,
  })
  assert.equal(status, 0, stderr.slice(-2000))
  return stderr
}

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'raftkv-compile-cache-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
