/** What a member loads at every start costs processor time and memory whether it is used or not. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '..', '..')
/** Loads what a member loads before it reads its flags, and tells the names of it all. */
const PROBE = `
  const { registerHooks } = await import('node:module')
  const names = []
  registerHooks({ load: (url, context, next) => (names.push(url), next(url, context)) })
  await import('./node-server/run-member.ts')
  console.log(JSON.stringify([...names, ...process.moduleLoadList]))
`

test('a start does not load what few members need, or none', () => {
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', PROBE], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  assert.notEqual(stdout, '', stderr)
  const names = JSON.parse(stdout) as readonly string[]
  assert.ok(names.some((name) => name.endsWith('/node-server/run-member.ts')))
  const needless = [
    '/node_modules/@aws-sdk/',
    '/node_modules/@grpc/',
    '/node_modules/@node-rs/bcrypt/',
    '/node_modules/@peculiar/',
    '/node_modules/express/',
    '/node_modules/jose/',
    '/node_modules/yaml/',
    '/node-server/backup/',
    '/node-server/tools/',
    'NativeModule http2',
    'NativeModule internal/deps/undici/undici',
  ]
  for (const part of needless)
    assert.deepEqual(
      names.filter((name) => name.includes(part)),
      [],
      part,
    )
})
