/**
 * etcd's configuration file (YAML or JSON; etcd: server/embed/config.go). Its keys are the flags' names, but for TLS and
 * some others, which stand in blocks; durations are whole nanoseconds; some lists are lists. It is turned into flags, so
 * that both are checked in one place. Pure.
 */
import { createRequire } from 'node:module'
import type * as Yaml from 'yaml'
import { err, ok, type Result } from '../../lib/result.ts'
import { flagOf, isFlag, type FlagName } from './table.ts'

export interface FileContents {
  readonly values: ReadonlyMap<FlagName, string>
  readonly warnings: readonly string[]
}

/** By block, what its keys are as flags. */
const BLOCKS: Readonly<Record<string, Readonly<Record<string, FlagName>>>> = {
  'client-transport-security': {
    'cert-file': 'cert-file',
    'key-file': 'key-file',
    'client-cert-file': 'client-cert-file',
    'client-key-file': 'client-key-file',
    'client-cert-auth': 'client-cert-auth',
    'trusted-ca-file': 'trusted-ca-file',
    'auto-tls': 'auto-tls',
    'allowed-hostname': 'client-cert-allowed-hostname',
  },
  'peer-transport-security': {
    'cert-file': 'peer-cert-file',
    'key-file': 'peer-key-file',
    'client-cert-file': 'peer-client-cert-file',
    'client-key-file': 'peer-client-key-file',
    'client-cert-auth': 'peer-client-cert-auth',
    'trusted-ca-file': 'peer-trusted-ca-file',
    'auto-tls': 'peer-auto-tls',
    'allowed-cn': 'peer-cert-allowed-cn',
    'allowed-hostname': 'peer-cert-allowed-hostname',
    'skip-client-san-verification': 'peer-skip-client-san-verification',
  },
  'socket-options': { 'reuse-port': 'socket-reuse-port', 'reuse-address': 'socket-reuse-address' },
  'discovery-config': { token: 'discovery-token' },
}

/** A list in the file, not a text with commas. */
const LISTS: ReadonlySet<FlagName> = new Set<FlagName>([
  'log-outputs',
  'cipher-suites',
  'client-cert-allowed-hostname',
  'peer-cert-allowed-cn',
  'peer-cert-allowed-hostname',
])

/** With the first file: a start by flags does without 3 MB and a thirtieth of a second. */
function yaml(): typeof Yaml {
  return createRequire(import.meta.url)('yaml')
}

export function readConfigFile(text: string): Result<FileContents, readonly string[]> {
  // As etcd reads it: yes and no are switches, and a key that stands twice is an error.
  const document = yaml().parseDocument(text, { version: '1.1', intAsBigInt: true })
  const [broken] = document.errors
  if (broken !== undefined) return err([`not YAML: ${broken.message}`])
  let root: unknown
  try {
    root = document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    return err([`not YAML: ${error instanceof Error ? error.message : String(error)}`])
  }
  if (root === null) return ok({ values: new Map(), warnings: [] })
  if (!isRecord(root)) return err(['not a mapping from names to values'])
  const reader = new Reader()
  for (const [key, value] of Object.entries(root)) reader.take(key, value)
  return reader.problems.length > 0 ? err(reader.problems) : ok({ values: reader.values, warnings: reader.warnings })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

class Reader {
  readonly values = new Map<FlagName, string>()
  readonly warnings: string[] = []
  readonly problems: string[] = []

  take(key: string, value: unknown): void {
    if (value === null) return
    const block = Object.hasOwn(BLOCKS, key) ? BLOCKS[key] : undefined
    if (block !== undefined) this.#takeBlock(key, block, value)
    else if (isFlag(key) && !isInBlock(key)) this.#set(key, key, value)
    else this.warnings.push(`${key} in the config file is ignored: ${whyNot(key)}`)
  }

  #takeBlock(name: string, block: Readonly<Record<string, FlagName>>, value: unknown): void {
    if (!isRecord(value)) return void this.problems.push(`${name}: not a mapping from names to values`)
    for (const [key, inner] of Object.entries(value)) {
      const flag = Object.hasOwn(block, key) ? block[key] : undefined
      if (flag === undefined) this.warnings.push(`${name}.${key} in the config file is ignored: there is no such key`)
      else if (inner !== null) this.#set(`${name}.${key}`, flag, inner)
    }
  }

  #set(key: string, name: FlagName, value: unknown): void {
    const text = asText(name, value)
    if (!text.ok) this.problems.push(`${key}: ${text.error}`)
    // An empty text is as good as none, in the file as in the environment.
    else if (text.value !== '') this.values.set(name, text.value)
  }
}

/** What only blocks may have: etcd looks for it nowhere else. */
function isInBlock(name: FlagName): boolean {
  return Object.values(BLOCKS).some((block) => Object.values(block).includes(name))
}

function whyNot(key: string): string {
  if (!isFlag(key)) return 'there is no such key'
  for (const [name, block] of Object.entries(BLOCKS)) {
    const inner = Object.keys(block).find((inner) => block[inner] === key)
    if (inner !== undefined) return `it belongs into the block ${name}, as ${inner}`
  }
  return 'there is no such key'
}

function asText(name: FlagName, value: unknown): Result<string, string> {
  if (LISTS.has(name)) {
    if (!Array.isArray(value)) return err('must be a list')
    const items = value.map((item) => scalar(item))
    return items.includes(undefined) ? err('must be a list of texts') : ok(items.join(','))
  }
  switch (flagOf(name).value) {
    case 'switch':
      return typeof value === 'boolean' ? ok(String(value)) : err('must be true or false')
    case 'duration':
      return typeof value === 'bigint'
        ? ok(`${value}ns`)
        : err('must be a whole number of nanoseconds, such as 600000000000 for ten minutes')
    case 'integer':
    case 'bytes':
    case 'ms':
    case 'years':
    case 'seconds':
      return typeof value === 'bigint' ? ok(String(value)) : err('must be a whole number')
    default: {
      const text = scalar(value)
      return text === undefined ? err('must be a text') : ok(text)
    }
  }
}

function scalar(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'bigint':
    case 'number':
      return String(value)
    default:
      return undefined
  }
}
