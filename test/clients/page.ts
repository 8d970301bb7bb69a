/** What docs/clients.md has as code, as it stands there. Pure. */
export interface Block {
  /** As its fence names it. */
  readonly language: string
  readonly text: string
}

export function blocksOf(page: string): readonly Block[] {
  return [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language = '', text = '']) => ({ language, text }))
}
