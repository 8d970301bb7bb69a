/**
 * `node cli/single-file.ts FILE`: writes kubectl raft as one file, which needs Node 22.15 or newer and nothing else. Without a bundler: the
 * modules stand in it as they are, their types taken out, and Node's own hooks find them there instead of on the disk.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { VERSION } from '../lib/version.ts'

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

/** MIT, too, wants its text in every copy. */
function licensesOf(urls: readonly string[]): readonly string[] {
  const packages = new Set(urls.flatMap((url) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(short(url))?.[1] ?? []))
  return [...packages].map((name) => {
    const text = readFileSync(join(fileURLToPath(ROOT), 'node_modules', name, 'LICENSE'), 'utf8').trim()
    return `/*\n${name}:\n\n${text}\n*/`
  })
}

/**
 * Node takes a file without an ending for CommonJS or an ES module, by its version: this text is both. An older Node, for which it could be
 * neither, gets a sentence.
 */
export function singleFile(): string {
  const main = pathToFileURL(MAIN).href
  const imports = Object.entries(importsOf()).filter(([way]) => way.startsWith(ROOT) && !way.endsWith('/cli/recorded-imports.ts')) // prettier-ignore
  const urls = [...new Set([main, ...imports.map(([, url]) => url)])].toSorted()
  const sources = Object.fromEntries(urls.map((url) => [short(url), sourceOf(url)]))
  const ways = Object.fromEntries(imports.map(([way, url]) => [short(way), short(url)]))
  return [
    '#!/usr/bin/env node',
    `// kubectl raft ${VERSION}, made by cli/single-file.ts. Apache-2.0 (http://www.apache.org/licenses/LICENSE-2.0); parts of others:`,
    ...licensesOf(urls),
    "const { registerHooks } = process.getBuiltinModule?.('node:module') ?? {}",
    'if (registerHooks === undefined) {',
    '  console.error(`error: kubectl raft needs Node 22.15 or newer; this is ${process.version}`)',
    '  process.exit(1)',
    '}',
    `const SOURCES = ${JSON.stringify(sources)}`,
    `const WAYS = ${JSON.stringify(ways)}`,
    "const SCHEME = 'kubectl-raft:'",
    "const formatOf = (path) => (path.endsWith('.json') ? 'json' : 'module')",
    'registerHooks({',
    '  resolve(specifier, context, next) {',
    '    const parent = context.parentURL ?? ""',
    '    const path = specifier.startsWith(SCHEME) ? specifier.slice(SCHEME.length) : parent.startsWith(SCHEME) ? WAYS[`${parent.slice(SCHEME.length)} ${specifier}`] : undefined',
    '    return path === undefined ? next(specifier, context) : { url: SCHEME + path, format: formatOf(path), shortCircuit: true }',
    '  },',
    '  load(url, context, next) {',
    '    if (!url.startsWith(SCHEME)) return next(url, context)',
    '    const path = url.slice(SCHEME.length)',
    '    return { format: formatOf(path), source: SOURCES[path], shortCircuit: true }',
    '  },',
    '})',
    `import(SCHEME + ${JSON.stringify(short(main))})`,
    '',
  ].join('\n')
}

if (import.meta.main) {
  const [file = 'kubectl-raft'] = process.argv.slice(2)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, singleFile())
  chmodSync(file, 0o755)
}
