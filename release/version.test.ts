import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { VERSION } from '../lib/version.ts'
import { imageArguments } from './parts.ts'
import { problemsOf, versioned } from './version.ts'

const ROOT = join(import.meta.dirname, '..')
const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

test('charts, packages, pages and the CHANGELOG have the version of package.json, and the image gets it as its label', () => {
  assert.deepEqual(problemsOf(VERSION), [])
  assert.equal(JSON.parse(text('package-lock.json')).version, VERSION)
  const place = { root: '/src', out: '/out', version: VERSION, revision: 'c0ffee' }
  const args = imageArguments(place)
  assert(args.includes(`--label=org.opencontainers.image.version=${VERSION}`), args.join(' '))
  assert(args.includes('--platform=linux/amd64,linux/arm64'), args.join(' '))
})

test('another version is written wherever this one stands, and is not released before the CHANGELOG tells of it', () => {
  const next = versioned('9.8.7-rc.1')
  for (const [path, changed] of next) {
    assert(!changed.includes(VERSION), `${path} still has ${VERSION}`)
    assert(changed.includes('9.8.7-rc.1'), path)
  }
  const problems = problemsOf('9.8.7-rc.1')
  assert.deepEqual(
    problems.map((problem) => problem.split(' ')[0]),
    ['CHANGELOG.md', ...next.keys()],
  )
})

test('what is made for each architecture is locked for amd64 and for arm64', () => {
  const { packages } = JSON.parse(text('package-lock.json')) as { readonly packages: Readonly<Record<string, object>> }
  const shipped = Object.keys(packages).filter((path) => !('dev' in Object(packages[path])))
  const native = shipped.filter((path) => path.endsWith('-linux-x64-gnu'))
  assert(native.length >= 2, native.join())
  for (const path of native) assert(shipped.includes(path.replace('-x64-', '-arm64-')), path)
})
