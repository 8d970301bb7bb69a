import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { classOf } from '../../node-server/config/flag.ts'
import { FLAGS, flagOf, isFlag } from '../../node-server/config/table.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
/** docs/flags.md is written from the table itself. */
const PAGES = ['README.md', ...globSync(['docs/*.md', 'sandbox/*.md'], { cwd: ROOT })].filter(
  (page) => page !== 'docs/flags.md',
)
const OTHERS = /^(kubectl|helm|docker|etcdctl|curl|velero|node --test)\b/
/** Where the options of our other commands are read. */
const SOURCES: Readonly<Record<string, string>> = {
  'npm start': 'sandbox/start/options.ts',
  'node bench/auto-compaction.ts': 'bench/auto-compaction.ts',
  'npm run bench': 'bench/options.ts',
  'npm run simulate': 'test/simulate/options.ts',
  'npm run test:chaos': 'test/chaos/main.ts',
  'npm run test:conformance': 'test/conformance/main.ts',
  'npm run test:e2e': 'test/e2e/main.ts',
  'npm run test:limits': 'test/limits/options.ts',
  'npm run test:mutants': 'test/mutants/main.ts',
  'npm run test:torture': 'test/torture/main.ts',
  'npm run test:twin': 'test/twin/options.ts',
}
const MEMBER =
  /^(npm run( --silent)? member( --)?|raftkv|snapshot (status|restore)|backup (take|follow|list|fetch|restore|prune)|check|dump)\b/
const TOOL_OPTIONS: ReadonlySet<string> = new Set(
  ['tools.ts', 'backup.ts', 'backup-place.ts'].flatMap((file) =>
    [...text(`node-server/tools/${file}`).matchAll(/ption\(\s*'(?:-\w, )?--([a-z0-9-]+)/g)].map(
      ([, name = '']) => name,
    ),
  ),
)

/** What a page shows as code: fenced lines, with those that they go on in, and spans. */
function codeOf(page: string): readonly string[] {
  const fences = [...page.matchAll(/^```.*\n([\s\S]*?)^```/gm)].map(([, block = '']) => block)
  const lines = fences.flatMap((block) => block.replaceAll(/\\\n\s*/g, '').split('\n'))
  const prose = page.replaceAll(/^```.*\n[\s\S]*?^```/gm, '')
  const spans = [...prose.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span.replaceAll('\n', ' '))
  return [...lines, ...spans].map((code) => code.replace(/(^|\s)#.*/, '').trim())
}

const flagsIn = (code: string): readonly string[] =>
  [...code.matchAll(/(?<=^|\s)--([a-z][a-z0-9-]*…?)/g)].map(([, name = '']) => name)

/** Why nobody can give this flag as the page shows it. */
function problem(code: string, name: string): string | undefined {
  if (name === 'help') return undefined
  const command = Object.keys(SOURCES).find((start) => code === start || code.startsWith(`${start} `))
  if (command !== undefined) {
    const isRead = new RegExp(`\\b${name}\\b`).test(text(SOURCES[command] ?? ''))
    return isRead ? undefined : `${command} has no --${name}`
  }
  if (!code.startsWith('--') && !MEMBER.test(code)) return `'${code}': a command that this test does not know`
  if (TOOL_OPTIONS.has(name)) return undefined
  if (name.endsWith('-…'))
    return Object.keys(FLAGS).some((flag) => flag.startsWith(name.slice(0, -1))) ? undefined : `no flag is a --${name}`
  if (!isFlag(name)) return `a member has no --${name}`
  return classOf(flagOf(name)) === 'refused' ? `a member refuses --${name}` : undefined
}

test('every flag that a page names can be given', () => {
  const problems: string[] = []
  let count = 0
  for (const page of PAGES) {
    const commands = codeOf(text(page)).map((code) => code.replace(/^alias \w+='/, ''))
    for (const code of commands.filter((line) => !OTHERS.test(line))) {
      // npm's own come before the `--` that ends them.
      const own = code.startsWith('npm ') ? (code.split(/ -- ?/)[1] ?? '') : code
      for (const name of flagsIn(own)) {
        count += 1
        const found = problem(code, name)
        if (found !== undefined) problems.push(`${page}: ${found}`)
      }
    }
  }
  assert(count > 25, `${count} flags found`)
  assert.deepEqual(problems, [])
})
