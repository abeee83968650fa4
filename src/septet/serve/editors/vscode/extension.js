// Inline completion from `septet serve editor`, a language server over stdio. Words, lines and all are accepted by the
// editor's own commands.
"use strict";
const { spawn } = require("child_process");
const vscode = require("vscode");

class Connection {
  // JSON-RPC 2.0 with Content-Length headers, as language servers speak it.
  constructor(command, folder) {
    this.process = spawn(command[0], command.slice(1), { cwd: folder });
    this.waiting = new Map();
    this.next = 1;
    this.buffer = Buffer.alloc(0);
    this.process.stdout.on("data", (data) => this.read(data));
    this.process.stderr.on("data", (data) => { this.said = data.toString().trim().split("\n").pop() || this.said; });
    this.process.on("error", (error) => this.end(error.message));
    this.process.on("exit", (code) => this.end(code ? this.said ?? `the server ended with code ${code}` : null));
    this.process.stdin.on("error", () => {});
  }

  end(reason) {
    this.gone = true;
    for (const { resolve } of this.waiting.values()) resolve(null);
    this.waiting.clear();
    if (reason) vscode.window.showErrorMessage(`septet: ${reason}`);
  }

  read(data) {
    this.buffer = Buffer.concat([this.buffer, data]);
    for (;;) {
      const end = this.buffer.indexOf("\r\n\r\n");
      if (end < 0) return;
      const size = Number(/Content-Length: (\d+)/i.exec(this.buffer.subarray(0, end).toString())[1]);
      if (this.buffer.length < end + 4 + size) return;
      const message = JSON.parse(this.buffer.subarray(end + 4, end + 4 + size).toString());
      this.buffer = this.buffer.subarray(end + 4 + size);
      if (message.method && message.id !== undefined) this.send({ id: message.id, result: null });
      else if (!message.method && this.waiting.has(message.id)) {
        this.waiting.get(message.id).resolve(message.result ?? null);
        this.waiting.delete(message.id);
      }
    }
  }

  send(message) {
    const content = Buffer.from(JSON.stringify({ jsonrpc: "2.0", ...message }));
    this.process.stdin.write(`Content-Length: ${content.length}\r\n\r\n`);
    this.process.stdin.write(content);
  }

  notify(method, params) { this.send({ method, params }); }

  request(method, params, token) {
    if (this.gone) return Promise.resolve(null);
    const id = this.next++;
    return new Promise((resolve) => {
      this.waiting.set(id, { resolve });
      if (token) token.onCancellationRequested(() => { this.notify("$/cancelRequest", { id }); resolve(null); });
      this.send({ id, method, params });
    });
  }
}

async function activate(context) {
  const settings = vscode.workspace.getConfiguration("septet");
  const languages = settings.get("languages");
  const folders = (vscode.workspace.workspaceFolders ?? []).map((f) => ({ uri: f.uri.toString(), name: f.name }));
  const root = vscode.workspace.workspaceFolders?.[0]?.uri;
  const server = new Connection(settings.get("command"), root?.fsPath);
  context.subscriptions.push({ dispose: () => server.process.kill() });
  const begun = await server.request("initialize", {
    processId: process.pid, rootUri: root?.toString() ?? null, capabilities: {}, workspaceFolders: folders,
  });
  if (!begun) return;
  server.notify("initialized", {});
  const ours = (document) => languages.includes(document.languageId);
  const identified = (document) => ({ uri: document.uri.toString(), version: document.version });
  const open = (document) => ours(document) && server.notify("textDocument/didOpen", {
    textDocument: { ...identified(document), languageId: document.languageId, text: document.getText() },
  });
  vscode.workspace.textDocuments.forEach(open);
  context.subscriptions.push(
    vscode.workspace.onDidOpenTextDocument(open),
    vscode.workspace.onDidChangeTextDocument(({ document }) => ours(document) && server.notify(
      "textDocument/didChange", { textDocument: identified(document), contentChanges: [{ text: document.getText() }] },
    )),
    vscode.workspace.onDidSaveTextDocument((document) => ours(document) && server.notify(
      "textDocument/didSave", { textDocument: identified(document) },
    )),
    vscode.workspace.onDidCloseTextDocument((document) => ours(document) && server.notify(
      "textDocument/didClose", { textDocument: identified(document) },
    )),
    vscode.languages.registerInlineCompletionItemProvider(languages.map((language) => ({ language })), {
      async provideInlineCompletionItems(document, position, request, token) {
        const asked = request.triggerKind === vscode.InlineCompletionTriggerKind.Invoke;
        const found = await server.request("textDocument/inlineCompletion", {
          textDocument: { uri: document.uri.toString() },
          position: { line: position.line, character: position.character },
          context: { triggerKind: asked ? 1 : 2 },
        }, token);
        const range = new vscode.Range(position, position);
        return (found?.items ?? []).map((item) => new vscode.InlineCompletionItem(item.insertText, range));
      },
    }),
  );
}

module.exports = { activate, deactivate() {} };
