/**
 * Asks both servers the same and writes down where their answers part. What identifies a server (cluster ID, member ID, term,
 * addresses) has a name in the trees instead of its value, so that it is compared for being there and being consistent.
 */
import { allowedDifference, type AllowedDifference } from './differences.ts'
import { AUTHENTICATE, MEMBER_LIST, RANGE, type Method, type Part } from './methods.ts'
import type { Servers } from './servers.ts'
import type { Outcome, Side } from './side.ts'
import { mismatches, textOf, treeOf, type Mismatch, type Tree } from './tree.ts'

export interface Found extends Mismatch {
  /** The difference on purpose that this is. */
  readonly allowed: AllowedDifference | undefined
}

/** One request and what came back. */
export interface Exchange {
  readonly path: string
  readonly request: Tree
  readonly etcd: Tree
  readonly ours: Tree
  readonly found: readonly Found[]
}

export interface CallOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** Makes both answers comparable where they cannot be equal, such as sizes of files. */
  readonly relax?: (answer: Tree) => Tree
}

type Names = ReadonlyMap<string, string>

/** Go's protobuf puts it where a blank should be, in one build and not in the next, so that nobody matches on its texts. */
const GO_BLANK = '\u00a0'
const ADDRESS = /127\.0\.0\.1:\d+/g

export class Twin {
  readonly servers: Servers
  readonly exchanges: Exchange[] = []
  /** Whose token is sent; undefined: nobody's. */
  asker: string | undefined
  readonly #tokens = new Map<string, { readonly etcd: string; readonly ours: string }>()
  readonly #names: { readonly etcd: Names; readonly ours: Names }

  private constructor(servers: Servers, etcd: Names, ours: Names) {
    this.servers = servers
    this.#names = { etcd, ours }
  }

  static async of(servers: Servers): Promise<Twin> {
    const [etcd, ours] = await Promise.all([namesOf(servers.etcd), namesOf(servers.ours)])
    return new Twin(servers, etcd, ours)
  }

  /** What has been found and is not on purpose. */
  get differences(): readonly Exchange[] {
    return this.exchanges.filter(({ found }) => found.some(({ allowed }) => allowed === undefined))
  }

  /** etcd's answer; undefined when it refused. */
  async call<Request, Response>(
    method: Method<Request, Response>,
    part: Part<Request> = {} as Part<Request>,
    options: CallOptions = {},
  ): Promise<Response | undefined> {
    const request = method.request.fromPartial(part)
    const bytes = method.request.encode(request).finish()
    const { etcd, ours } = await this.#both((side) =>
      side.unary(method.path, bytes, this.headersOf(side, options.headers)),
    )
    const { relax = (tree) => tree } = options
    const tree = (outcome: Outcome<Buffer>): Tree =>
      relax(outcomeTree(outcome, (answer) => treeOf(method.response.decode(answer))))
    this.note(method.path, treeOf(request), tree(etcd), tree(ours))
    return etcd.kind === 'answer' ? method.response.decode(etcd.value) : undefined
  }

  /** For requests that no message describes. Only statuses and the presence of an answer are compared. */
  async callBytes(path: string, bytes: Uint8Array, title = textOf(bytes)): Promise<void> {
    const { etcd, ours } = await this.#both((side) => side.unary(path, bytes))
    const tree = (outcome: Outcome<Buffer>): Tree => outcomeTree(outcome, () => 'an answer')
    this.note(path, title, tree(etcd), tree(ours))
  }

  /** All messages of a stream that ends by itself. */
  async collect<Request, Response>(
    method: Method<Request, Response>,
    part: Part<Request>,
    options: CallOptions = {},
  ): Promise<readonly Response[] | undefined> {
    const request = method.request.fromPartial(part)
    const bytes = method.request.encode(request).finish()
    const { etcd, ours } = await this.#both((side) => side.serverStream(method.path, bytes, this.headersOf(side)))
    const { relax = (tree) => tree } = options
    const tree = (outcome: Outcome<readonly Buffer[]>): Tree =>
      relax(outcomeTree(outcome, (messages) => messages.map((message) => treeOf(method.response.decode(message)))))
    this.note(method.path, treeOf(request), tree(etcd), tree(ours))
    return etcd.kind === 'answer' ? etcd.value.map((message) => method.response.decode(message)) : undefined
  }

  /** With the token of who asks: each server has given its own. */
  headersOf({ name }: Side, headers: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
    const token = this.asker === undefined ? undefined : this.#tokens.get(this.asker)?.[name]
    return token === undefined ? headers : { token, ...headers }
  }

  /** From now on the user can be the {@link asker}. */
  async signIn(name: string, password: string): Promise<void> {
    const request = { name, password }
    const bytes = AUTHENTICATE.request.encode(request).finish()
    const { etcd, ours } = await this.#both((side) => side.unary(AUTHENTICATE.path, bytes))
    const tokenOf = (outcome: Outcome<Buffer>): string =>
      outcome.kind === 'answer' ? AUTHENTICATE.response.decode(outcome.value).token : ''
    this.#tokens.set(name, { etcd: tokenOf(etcd), ours: tokenOf(ours) })
    const tree = (outcome: Outcome<Buffer>): Tree =>
      outcomeTree(outcome, (answer) => {
        const { header, token } = AUTHENTICATE.response.decode(answer)
        return treeOf({ header, token: token.replace(/^[a-zA-Z]{16}\.\d+$/, '<token>') })
      })
    this.note(AUTHENTICATE.path, treeOf(request), tree(etcd), tree(ours))
  }

  note(path: string, request: Tree, etcd: Tree, ours: Tree): void {
    const answers = { etcd: named(etcd, this.#names.etcd), ours: named(ours, this.#names.ours) }
    const found = mismatches(answers.etcd, answers.ours).map((mismatch) => ({
      ...mismatch,
      allowed: allowedDifference({ path, request, ...answers, mismatch }),
    }))
    this.exchanges.push({ path, request, ...answers, found })
  }

  async #both<Answer>(ask: (side: Side) => Promise<Answer>): Promise<{ readonly etcd: Answer; readonly ours: Answer }> {
    const [etcd, ours] = await Promise.all([ask(this.servers.etcd), ask(this.servers.ours)])
    return { etcd, ours }
  }
}

export function outcomeTree<Answer>(outcome: Outcome<Answer>, tree: (answer: Answer) => Tree): Tree {
  return outcome.kind === 'answer' ? tree(outcome.value) : { code: outcome.code, text: outcome.text }
}

async function namesOf(side: Side): Promise<Names> {
  const [range, members] = await Promise.all([
    side.unary(RANGE.path, RANGE.request.encode(RANGE.request.fromPartial({ key: Buffer.of(0) })).finish()),
    side.unary(MEMBER_LIST.path, new Uint8Array()),
  ])
  if (range.kind !== 'answer' || members.kind !== 'answer') throw new Error(`${side.name} does not answer`)
  const header = RANGE.response.decode(range.value).header
  if (header === undefined) throw new Error(`${side.name} answers without a header`)
  return new Map([
    [`${header.clusterId}n`, '<cluster>'],
    [`${header.memberId}n`, '<member>'],
    [`raftTerm ${header.raftTerm}n`, '<term>'],
  ])
}

function named(tree: Tree, names: Names, field = ''): Tree {
  if (typeof tree === 'string')
    return (
      names.get(tree) ??
      names.get(`${field} ${tree}`) ??
      tree.replaceAll(ADDRESS, '<address>').replaceAll(GO_BLANK, ' ')
    )
  if (Array.isArray(tree)) return tree.map((each) => named(each, names, field))
  if (typeof tree !== 'object') return tree
  return Object.fromEntries(Object.entries(tree).map(([name, each]) => [name, named(each, names, name)]))
}
