import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '..', '..')
const TEXT_MADE_AT_EACH_CHECK = /^ *assert\([^\n`]*,\s*`.*/gm

const sources = globSync('{lib,node-server}/**/*.ts', { cwd: ROOT })
const product = sources.filter((path) => !path.endsWith('.test.ts') && !/[/\\]testing[/\\]/.test(path))

for (const path of product) {
  test(`${path} makes the text of an assertion only when it fails`, () => {
    const text = readFileSync(join(ROOT, path), 'utf8')
    assert.deepEqual(text.match(TEXT_MADE_AT_EACH_CHECK), null)
  })
}
