/**
 * `npm run release`: everything of a release in dist/VERSION, with a list of checksums. It publishes nothing: what is there can be tried first, and
 * then go to the registries of images, charts and packages as it is.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { VERSION } from '../lib/version.ts'
import { PARTS, type Place } from './parts.ts'
import { outputOf } from './run.ts'
import { problemsOf } from './version.ts'

const ROOT = join(import.meta.dirname, '..')
const CHECKSUMS = 'SHA256SUMS'
const USAGE = `npm run release -- [--out FOLDER] [--without PART,…]   parts: ${Object.keys(PARTS).join(', ')}`

function main(): void {
  const { out, without } = options()
  const problems = [...problemsOf(VERSION), ...without.flatMap(unknownPart)]
  if (existsSync(out)) problems.push(`${out} is there already: remove it, or name another folder by --out`)
  // What is released whole can be made again from its commit.
  if (without.length === 0 && outputOf(ROOT, 'git', 'status', '--porcelain') !== '')
    problems.push('there are changes that are not committed')
  const parts = Object.entries(PARTS).filter(([name]) => !without.includes(name))
  if (problems.length === 0) problems.push(...parts.flatMap(([, { missing }]) => missing?.() ?? []))
  if (problems.length > 0) throw new Unreleasable(problems)

  mkdirSync(out, { recursive: true })
  const place: Place = {
    root: ROOT,
    out,
    version: VERSION,
    revision: outputOf(ROOT, 'git', 'rev-parse', 'HEAD').trim(),
  }
  for (const [name, { make }] of parts) {
    console.log(`${name} …`)
    make(place)
  }
  const files = readdirSync(out).toSorted()
  writeFileSync(join(out, CHECKSUMS), files.map((file) => `${sha256(join(out, file))}  ${file}\n`).join(''))
  console.log([...files, CHECKSUMS].map((file) => join(out, file)).join('\n'))
}

class Unreleasable extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}

function options(): { readonly out: string; readonly without: readonly string[] } {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: join(ROOT, 'dist', VERSION) },
      without: { type: 'string', default: '' },
    },
  })
  return { out: resolve(values.out), without: values.without.split(',').filter((name) => name !== '') }
}

const unknownPart = (name: string): readonly string[] => (name in PARTS ? [] : [`there is no part ${name}\n${USAGE}`])

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

try {
  main()
} catch (error) {
  if (!(error instanceof Unreleasable)) throw error
  for (const problem of error.problems) console.error(`error: ${problem}`)
  process.exitCode = 1
}
