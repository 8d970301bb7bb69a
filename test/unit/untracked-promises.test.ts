import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

/** Runs the body of a test in a process that has loaded untracked-promises.ts. */
function outcomeOf(body: string): { readonly status: number | null; readonly output: string } {
  const source = `import { executionAsyncId } from 'node:async_hooks'; import { test } from 'node:test'; test('it', async () => { ${body} })`
  const args = ['--import', './test/untracked-promises.ts', '--input-type=module', '--eval', source]
  // Without the variable by which the runner knows its children.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env, timeout: 60_000 })
  return { status, output: stdout + stderr }
}

test('an error that nobody catches fails the file at once, with its stack', () => {
  for (const thrower of [
    `setTimeout(() => { throw new Error('beside') })`,
    `void Promise.reject(new Error('beside'))`,
  ]) {
    const { status, output } = outcomeOf(`${thrower}; await new Promise(() => setInterval(() => {}, 1000))`)
    assert.equal(status, 1, output)
    assert.match(output, /Error: beside\n +at /)
  }
})

test('promises are not followed: their continuations have no ID of their own', () => {
  const { status, output } = outcomeOf(`await null; console.log('in', executionAsyncId())`)
  assert.equal(status, 0, output)
  assert.match(output, /^in 0$/m)
})
