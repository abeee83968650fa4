-- Ghost text from `septet serve editor` in Neovim 0.10 and later.
-- require("septet").setup{ accept = "<Tab>", accept_word = "<M-w>", accept_line = "<M-l>", dismiss = "<C-]>", invoke = "<M-\\>" }
local M = { options = {
  cmd = { "septet", "serve", "editor" },
  accept = "<Tab>", accept_word = "<M-w>", accept_line = "<M-l>", dismiss = "<C-]>", invoke = "<M-\\>",
  delay = 75, -- milliseconds after the last key
  filetypes = { "python" },
} }
local space = vim.api.nvim_create_namespace("septet")
local shown, asked, timer = nil, nil, nil

function M.clear()
  if shown and vim.api.nvim_buf_is_valid(shown.buffer) then
    vim.api.nvim_buf_clear_namespace(shown.buffer, space, 0, -1)
  end
  shown = nil
end

local function show(buffer, row, column, text)
  M.clear()
  local lines = vim.split(text, "\n", { plain = true })
  local below = {}
  for n = 2, #lines do below[#below + 1] = { { lines[n], "Comment" } } end
  vim.api.nvim_buf_set_extmark(buffer, space, row, column, {
    virt_text = { { lines[1], "Comment" } }, virt_text_pos = "inline",
    virt_lines = #below > 0 and below or nil,
  })
  shown = { buffer = buffer, row = row, column = column, text = text }
end

local function client_of(buffer)
  return vim.lsp.get_clients({ bufnr = buffer, name = "septet" })[1]
end

-- Asks for a completion at the cursor; `kind` is 1 if the user invoked it (several lines), 2 if automatic (one line).
function M.ask(kind)
  local buffer, client = vim.api.nvim_get_current_buf(), client_of(vim.api.nvim_get_current_buf())
  if not client then return end
  if asked then client.cancel_request(asked); asked = nil end
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.context = { triggerKind = kind }
  local row, column = unpack(vim.api.nvim_win_get_cursor(0))
  local _, id = client.request("textDocument/inlineCompletion", params, function(error, result)
    asked = nil
    local now_row, now_column = unpack(vim.api.nvim_win_get_cursor(0))
    if error or not result or vim.api.nvim_get_current_buf() ~= buffer then return end
    if now_row ~= row or now_column ~= column or vim.fn.mode():sub(1, 1) ~= "i" then return end
    local item = (result.items or result)[1]
    if item and item.insertText ~= "" then show(buffer, row - 1, column, item.insertText) end
  end, buffer)
  asked = id
end

-- Accepts the completion that is shown, or its first "word" or "line"; false if none is shown.
function M.accept(part)
  if not shown then return false end
  local text = shown.text
  if part == "word" then text = text:match("^%s*[%w_]+") or text:match("^%s*[^%w_%s]+") or text end
  if part == "line" then text = text:match("^\n?[^\n]*") end
  local buffer, row, column, rest = shown.buffer, shown.row, shown.column, shown.text:sub(#text + 1)
  M.clear()
  local lines = vim.split(text, "\n", { plain = true })
  vim.api.nvim_buf_set_text(buffer, row, column, row, column, lines)
  local last = #lines == 1 and column + #lines[1] or #lines[#lines]
  vim.api.nvim_win_set_cursor(0, { row + #lines, last })
  if rest ~= "" then show(buffer, row + #lines - 1, last, rest) end
  return true
end

function M.showing() return shown and shown.text or nil end

local function map(key, action)
  vim.keymap.set("i", key, function()
    if not action() then
      vim.api.nvim_feedkeys(vim.api.nvim_replace_termcodes(key, true, false, true), "in", false) -- before what is waiting
    end
  end, { desc = "septet" })
end

function M.setup(options)
  M.options = vim.tbl_extend("force", M.options, options or {})
  local group = vim.api.nvim_create_augroup("septet", {})
  vim.api.nvim_create_autocmd("FileType", { group = group, pattern = M.options.filetypes, callback = function(event)
    vim.lsp.start({
      name = "septet", cmd = M.options.cmd,
      root_dir = vim.fs.root(event.buf, { ".git", "pyproject.toml" }), -- without one, nothing is indexed
    }, { bufnr = event.buf })
  end })
  vim.api.nvim_create_autocmd({ "TextChangedI", "CursorMovedI" }, { group = group, callback = function()
    if shown then
      local row, column = unpack(vim.api.nvim_win_get_cursor(0))
      if row - 1 == shown.row and column == shown.column then return end
    end
    M.clear()
    if timer then timer:stop() end
    timer = vim.defer_fn(function() if vim.fn.mode():sub(1, 1) == "i" then M.ask(2) end end, M.options.delay)
  end })
  vim.api.nvim_create_autocmd("InsertLeave", { group = group, callback = M.clear })
  map(M.options.accept, function() return M.accept("all") end)
  map(M.options.accept_word, function() return M.accept("word") end)
  map(M.options.accept_line, function() return M.accept("line") end)
  map(M.options.dismiss, function() local was = shown ~= nil; M.clear(); return was end)
  map(M.options.invoke, function() M.ask(1); return true end)
end

return M
