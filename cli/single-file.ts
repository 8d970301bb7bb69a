/**
 * `node cli/single-file.ts FILE`: writes kubectl raft as one file, which needs Node 22.15 or newer and nothing else. Without a bundler: the
 * modules stand in it as they are, their types taken out, and Node's own hooks find them there instead of on the disk.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROOT = pathToFileURL(join(import.meta.dirname, '..', '/')).href
const MAIN = join(import.meta.dirname, 'main.ts')

/** See recorded-imports.ts. */
function importsOf(): Readonly<Record<string, string>> {
  const folder = mkdtempSync(join(tmpdir(), 'raftkv-single-file-'))
  try {
    const file = join(folder, 'imports.json')
    const hooks = join(import.meta.dirname, 'recorded-imports.ts')
    const env = { ...process.env, RAFTKV_RECORDED_IMPORTS: file }
    execFileSync(process.execPath, ['--import', pathToFileURL(hooks).href, MAIN, '--help'], { env, stdio: ['ignore', 'ignore', 'inherit'] }) // prettier-ignore
    return JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, string>>
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const short = (url: string): string => url.replace(ROOT, '')

function sourceOf(url: string): string {
  const text = readFileSync(fileURLToPath(url), 'utf8')
  return url.endsWith('.ts') ? stripTypeScriptTypes(text) : text
}

export function singleFile(): string {
  const main = pathToFileURL(MAIN).href
  const imports = Object.entries(importsOf()).filter(([way]) => way.startsWith(ROOT) && !way.endsWith('/cli/recorded-imports.ts')) // prettier-ignore
  const urls = [...new Set([main, ...imports.map(([, url]) => url)])].toSorted()
  const sources = Object.fromEntries(urls.map((url) => [short(url), sourceOf(url)]))
  const ways = Object.fromEntries(imports.map(([way, url]) => [short(way), short(url)]))
  return [
    '#!/usr/bin/env node',
    '// kubectl raft, made by cli/single-file.ts. Under the licenses of its parts: Apache-2.0, and MIT for commander and zod.',
    "import { registerHooks } from 'node:module'",
    `const SOURCES = ${JSON.stringify(sources)}`,
    `const WAYS = ${JSON.stringify(ways)}`,
    "const SCHEME = 'kubectl-raft:'",
    'registerHooks({',
    '  resolve(specifier, context, next) {',
    '    const parent = context.parentURL ?? ""',
    '    const path = specifier.startsWith(SCHEME) ? specifier.slice(SCHEME.length) : parent.startsWith(SCHEME) ? WAYS[`${parent.slice(SCHEME.length)} ${specifier}`] : undefined',
    "    return path === undefined ? next(specifier, context) : { url: SCHEME + path, format: 'module', shortCircuit: true }",
    '  },',
    '  load(url, context, next) {',
    "    return url.startsWith(SCHEME) ? { format: 'module', source: SOURCES[url.slice(SCHEME.length)], shortCircuit: true } : next(url, context)",
    '  },',
    '})',
    `await import(SCHEME + ${JSON.stringify(short(main))})`,
    '',
  ].join('\n')
}

if (import.meta.main) {
  const [file = 'kubectl-raft'] = process.argv.slice(2)
  writeFileSync(file, singleFile())
  chmodSync(file, 0o755)
}
