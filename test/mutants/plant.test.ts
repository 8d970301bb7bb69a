import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { mutate, runMutant, type Mutant } from './plant.ts'

const FILE = 'lib/backoff.ts'
const DOUBLE: Mutant = {
  name: 'the delay is doubled',
  file: FILE,
  find: 'return full * (1 -',
  replace: 'return 2 * full * (1 -',
}

test('a text that is missing or stands twice does not pass for a mutant', () => {
  assert.throws(() => mutate('a b', { ...DOUBLE, find: 'c' }), /not in/)
  assert.throws(() => mutate('a b a', { ...DOUBLE, find: 'a' }), /more than once/)
  assert.equal(mutate('a $& b', { ...DOUBLE, find: 'b', replace: '$&' }), 'a $& $&')
})

test('the child runs the mutant; what it notices, what it does not, and what it never loads are told apart', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'raftkv-mutants-'))
  try {
    const product = pathToFileURL(join(import.meta.dirname, '..', '..', FILE)).href
    const program = (name: string, code: string): string => {
      writeFileSync(join(folder, name), code)
      return join(folder, name)
    }
    const loads = `import { backoffMs } from ${JSON.stringify(product)}; const ms = backoffMs({ firstMs: 8, factor: 2, maxMs: 99, jitter: 0 }, 0, 0);`
    const notices = program('notices.ts', `${loads} process.exitCode = ms === 8 ? 0 : 1`)
    const sleeps = program('sleeps.ts', `${loads} console.log(ms)`)
    const other = program('other.ts', 'console.log(1)')
    const hangs = program('hangs.ts', `${loads} setInterval(() => undefined, 1000)`)
    const verdict = async (path: string, timeoutMs = 60_000): Promise<string> =>
      (await runMutant(DOUBLE, { program: path, args: [], timeoutMs })).verdict
    assert.equal(await verdict(notices), 'caught')
    assert.equal(await verdict(sleeps), 'survived')
    assert.equal(await verdict(other), 'not planted')
    assert.equal(await verdict(hangs, 1500), 'timed out')
    await assert.rejects(runMutant({ ...DOUBLE, find: 'no such text' }, { program: other, args: [], timeoutMs: 9 }))
  } finally {
    rmSync(folder, { recursive: true })
  }
})
