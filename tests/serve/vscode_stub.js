// Enough of VS Code to run the extension once: node vscode_stub.js EXTENSION PROJECT TEXT prints what is offered at the
// end of TEXT.
"use strict";
const Module = require("module");
const path = require("path");
const { pathToFileURL } = require("url");
const [extension, project, text] = process.argv.slice(2);
const manifest = require(path.join(extension, "package.json"));
const uriOf = (file) => ({ fsPath: file, toString: () => pathToFileURL(file).href });
let shown = "", changed;
const document = { uri: uriOf(path.join(project, "basin.py")), version: 0, languageId: "python", getText: () => shown };
let provider;
const nothing = () => ({ dispose() {} });
const vscode = {
  InlineCompletionTriggerKind: { Invoke: 0, Automatic: 1 },
  Range: class { constructor(start, end) { Object.assign(this, { start, end }); } },
  InlineCompletionItem: class { constructor(insertText, range) { Object.assign(this, { insertText, range }); } },
  window: { showErrorMessage: (message) => { throw new Error(message); } },
  workspace: {
    workspaceFolders: [{ uri: uriOf(project), name: "project" }],
    getConfiguration: () => ({ get: (name) => manifest.contributes.configuration.properties[`septet.${name}`].default }),
    textDocuments: [document],
    onDidOpenTextDocument: nothing, onDidChangeTextDocument: (handler) => { changed = handler; return nothing(); },
    onDidSaveTextDocument: nothing, onDidCloseTextDocument: nothing,
  },
  languages: { registerInlineCompletionItemProvider: (_, given) => { provider = given; return nothing(); } },
};
const load = Module._load;
Module._load = (name, ...rest) => (name === "vscode" ? vscode : load(name, ...rest));

(async () => {
  await require(extension).activate({ subscriptions: [] });
  shown = text;
  document.version += 1;
  changed({ document });
  const lines = text.split("\n");
  const position = { line: lines.length - 1, character: lines[lines.length - 1].length };
  const token = { onCancellationRequested: nothing };
  let found = [];
  while (!found.length) { // nothing is known before the project is indexed
    found = await provider.provideInlineCompletionItems(document, position, { triggerKind: 1 }, token);
    if (!found.some((item) => item.insertText.includes("metres"))) { found = []; await new Promise((r) => setTimeout(r, 200)); }
  }
  process.stdout.write(JSON.stringify(found.map((item) => item.insertText)), () => process.exit(0));
})();
