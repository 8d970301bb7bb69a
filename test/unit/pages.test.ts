/** What the pages name is there: fields, annotations, labels, files and commands, each by the program that it is of. */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { parseRaftCluster } from '../../operator/api/raft-cluster.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
/** docs/reference.md is written from the CRDs. */
const WRITTEN_BY_HAND = globSync(['docs/*.md', 'sandbox/*.md', 'charts/*/README.md'], { cwd: ROOT }).filter(
  (page) => page !== 'docs/reference.md',
)
const MARKDOWN = ['README.md', ...WRITTEN_BY_HAND]
const PAGES = [...MARKDOWN, ...globSync('charts/*/{templates/NOTES.txt,values.yaml}', { cwd: ROOT })]

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly additionalProperties?: Schema
}

const SCHEMA: Schema = parse(text('crds/raftclusters.raftkv.dev.yaml')).spec.versions[0].schema.openAPIV3Schema
const fieldsOf = (name: string): readonly string[] => Object.keys(SCHEMA.properties?.[name]?.properties ?? {})

function has(schema: Schema | undefined, [name, ...rest]: readonly string[]): boolean {
  if (schema === undefined || name === undefined) return schema !== undefined
  return has(schema.properties?.[name] ?? schema.items?.properties?.[name] ?? schema.additionalProperties, rest)
}

const fences = (page: string): readonly string[] =>
  [...page.matchAll(/^```.*\n([\s\S]*?)^```/gm)].map(([, block = '']) => block.replaceAll(/\\\n\s*/g, ''))
const spans = (page: string): readonly string[] =>
  [...page.replaceAll(/^```.*\n[\s\S]*?^```/gm, '').matchAll(/`([^`]+)`/g)].map(([, span = '']) => span)

function onEveryPage(pages: readonly string[], problemsOf: (page: string) => readonly string[]): readonly string[] {
  return pages.flatMap((path) => problemsOf(text(path)).map((problem) => `${path}: ${problem}`))
}

test('every field of a RaftCluster that a page names is in the CRD', () => {
  const tops: ReadonlySet<string> = new Set(fieldsOf('spec'))
  /** Of other kinds, and keys of Secrets. */
  const others = new Set(['spec.ordinals.start', 'tls.crt', 'tls.key'])
  let count = 0
  const problems = onEveryPage(MARKDOWN, (page) =>
    spans(page).flatMap((span) => {
      const [, path = ''] = /^\.?([a-zA-Z]+(?:\.[a-zA-Z]+)+)(?:: \S+)?$/.exec(span) ?? []
      const parts = path.split('.')
      const isRooted = parts[0] === 'spec' || parts[0] === 'status'
      if (others.has(path) || !(isRooted || tops.has(parts[0] ?? '')) || parts.at(-1) === 'ts') return []
      count += 1
      return has(SCHEMA, isRooted ? parts : ['spec', ...parts]) ? [] : [`no RaftCluster has ${path}`]
    }),
  )
  assert(count > 20, `${count} fields found`)
  assert.deepEqual(problems, [])
})

test('every RaftCluster that a page shows, and every patch of one, is one that the operator reads', () => {
  let count = 0
  const problems = onEveryPage(PAGES, (page) => {
    const shown = [...fences(page), ...[...page.matchAll(/<<EOF\n([\s\S]*?)EOF/g)].map(([, block = '']) => block)]
      .filter((block) => /^\s*kind: RaftCluster$/m.test(block))
      .flatMap((block) => parseAllDocuments(block.replaceAll(/\{\{.*?\}\}/g, 'x')).map((one) => one.toJS() as object))
    const patches = [...page.matchAll(/patch raft\S*(?: \S+)? --type=merge -p\s+'(\{[^']*\})'/g)].map(
      ([, json = '']) => JSON.parse(json) as object,
    )
    return [...shown, ...patches].flatMap((object) => {
      count += 1
      const metadata = { name: 'kv', namespace: 'ns', uid: 'u', resourceVersion: '1' }
      const parsed = parseRaftCluster({ ...object, metadata })
      return parsed.ok ? parsed.value.unknownFields : [parsed.error]
    })
  })
  assert(count >= 5, `${count} found`)
  assert.deepEqual(problems, [])
})

test('every annotation, label and finalizer of ours that a page names is one of the operator’s', () => {
  const sources = globSync('operator/**/*.ts', { cwd: ROOT, exclude: (name) => name.endsWith('.test.ts') })
  const own = sources.flatMap((path) =>
    [...text(path).matchAll(/\$\{GROUP\}\/([a-zA-Z0-9-]+)/g)].map(([, name = '']) => `raftkv.dev/${name}`),
  )
  assert(own.length > 8, own.join(' '))
  const known = new Set([...own, 'raftkv.dev/raftcluster-operator'])
  const problems = onEveryPage(PAGES, (page) =>
    [...page.matchAll(/\braftkv\.dev\/[a-zA-Z0-9-]+/g)].flatMap(([name]) =>
      known.has(name) ? [] : [`nobody knows ${name}`],
    ),
  )
  assert.deepEqual(problems, [])
})

test('every value of a chart that a page sets is there', () => {
  const charts = globSync('charts/*/values.yaml', { cwd: ROOT }).map((path): unknown => parse(text(path)))
  assert.equal(charts.length, 2)
  const isThere = (path: string): boolean =>
    charts.some((values) => path.split('.').reduce<unknown>((at, name) => Object(at)[name], values) !== undefined)
  let count = 0
  const problems = onEveryPage(PAGES, (page) =>
    [...page.matchAll(/--set\s+([^\s`\\]+)/g)].flatMap(([, list = '']) =>
      list
        .replaceAll(/\{.*?\}/g, '')
        .split(',')
        .flatMap((pair) => {
          const [path = ''] = pair.split('=')
          count += 1
          return isThere(path) ? [] : [`no chart has ${path}`]
        }),
    ),
  )
  assert(count >= 5, `${count} found`)
  assert.deepEqual(problems, [])
})

test('every command of npm, and every file of ours that a command or a page names, is there', () => {
  const { scripts } = JSON.parse(text('package.json')) as { readonly scripts: Readonly<Record<string, string>> }
  let count = 0
  const problems = onEveryPage(PAGES, (page) => {
    const code = [...fences(page).flatMap((block) => block.split('\n')), ...spans(page)].join('\n')
    const commands = [...code.matchAll(/\bnpm (?:run (?:--silent )?([a-z0-9:]+)|(start|test)\b)/g)].map(
      ([, script, short]) => script ?? short ?? '',
    )
    const files = [
      ...page.matchAll(
        /(?<![\w./-])(?:node-server|operator|sandbox|test|bench|lib|docs|charts|crds)\/[\w./-]+\.(?:ts|md|yaml|json|mjs)\b/g,
      ),
    ].map(([path]) => path)
    count += commands.length + files.length
    return [
      ...commands.filter((name) => !(name in scripts)).map((name) => `package.json has no script ${name}`),
      ...files.filter((path) => !existsSync(join(ROOT, path))).map((path) => `there is no ${path}`),
    ]
  })
  assert(count > 100, `${count} found`)
  assert.deepEqual(problems, [])
})

/** As GitHub makes it of a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-')
const anchorsOf = (page: string): ReadonlySet<string> =>
  new Set([...page.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ (.*)$/gm)].map(([, it = '']) => anchorOf(it)))

test('every link within the repository leads to a file, and to a heading where it names one', () => {
  let count = 0
  const pages = globSync(['*.md', '{docs,charts,examples,sandbox}/**/*.md'], { cwd: ROOT })
  const problems = pages.flatMap((path) =>
    [...text(path).matchAll(/\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)/g)].flatMap(([, to = '', anchor]) => {
      count += 1
      const target = to === '' ? path : join(dirname(path), to)
      if (!existsSync(join(ROOT, target))) return [`${path}: there is no ${target}`]
      if (anchor === undefined || !target.endsWith('.md')) return []
      return anchorsOf(text(target)).has(anchor) ? [] : [`${path}: ${target} has no heading #${anchor}`]
    }),
  )
  assert(count > 100, `${count} found`)
  assert.deepEqual(problems, [])
})

test('every wait that a page shows says how long: by itself kubectl gives up after 30 seconds, and a first pull takes longer', () => {
  let count = 0
  const problems = onEveryPage(PAGES, (page) =>
    [...page.matchAll(/\bkubectl (?:-n .*? )?wait --for.*/g)].flatMap(([command]) => {
      count += 1
      return /--timeout=\d+[mh]\b/.test(command) ? [] : [command]
    }),
  )
  assert(count >= 4, `${count} found`)
  assert.deepEqual(problems, [])
})

test('every verb and kind that a page gives kubectl is one', () => {
  const VERBS =
    /^(get|describe|apply|delete|scale|annotate|label|patch|explain|wait|logs|exec|cp|port-forward|rollout|create|edit|drain|uncordon|proxy|api-resources|version|top|run|debug)$/
  const OURS = new Set(
    [...text('cli/main.ts').matchAll(/(?:\.command\(|^ {2}\[)'([a-z-]+)'/gm)].map(([, name]) => name),
  )
  assert(OURS.size >= 10)
  let count = 0
  const problems = onEveryPage(PAGES, (page) => {
    const code = [...fences(page).flatMap((block) => block.split('\n')), ...spans(page)]
    return code.flatMap((line) => {
      const [, verb = '', rest = ''] = /\bkubectl (?:-n \S+ )?([a-z-]+)(.*)/.exec(line) ?? []
      if (verb === '') return []
      count += 1
      if (verb === 'raft') {
        const [, command = ''] = /^ ([a-z-]+)/.exec(rest) ?? []
        return OURS.has(command) || command === '' ? [] : [`kubectl raft has no ${command}`]
      }
      const kinds = [...rest.matchAll(/\b(raft[a-z]*)(?=[ /.]|$)/g)].map(([, kind = '']) => kind)
      const names = [
        'raft',
        'raftcluster',
        'raftclusters',
        'raftbackup',
        'raftbackups',
        'raftkv',
        'raftcluster-operator',
      ]
      return [
        ...(VERBS.test(verb) ? [] : [`kubectl has no ${verb}`]),
        ...kinds.filter((kind) => !names.includes(kind)).map((kind) => `there is no kind ${kind}`),
      ]
    })
  })
  assert(count > 10, `${count} found`)
  assert.deepEqual(problems, [])
})
